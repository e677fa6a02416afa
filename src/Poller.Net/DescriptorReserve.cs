using System.Net.Sockets;

namespace Poller.Net;

// .NET starts no thread in a process that has fewer than four descriptors free, and where it needs one for itself (to recompile a hot
// method, to watch over the thread pool) it throws OutOfMemoryException at whoever runs, or ends the process. A listener takes the last
// descriptor of a process for as long as clients come. So it holds some from the start, gives them back while it waits for others to be
// closed, and accepts only when it has them again.

/// <summary>Descriptors that a listener holds for the time when there are no more. One thread at a time; its users see to it.</summary>
internal sealed class DescriptorReserve(ISocketApi api)
{
    /// <summary>Twice the four that .NET needs to start a thread.</summary>
    public const int Size = 8;

    private readonly nint[] _held = new nint[Size];
    private int _count;

    /// <summary>Fills the reserve. 0, or the errno below zero when there is not enough.</summary>
    public int Take()
    {
        while (_count < Size)
        {
            int result = api.Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            if (result < 0) return result;
            _held[_count++] = result;
        }
        return 0;
    }

    public void Release()
    {
        while (_count > 0) api.Close(_held[--_count]);
    }
}
