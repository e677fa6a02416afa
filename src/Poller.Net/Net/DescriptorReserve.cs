using System.Net.Sockets;

namespace Poller.Net;

// .NET starts no thread in a process that has fewer than four descriptors free, and where it needs one for itself (to recompile a hot
// method, to watch over the thread pool) it throws OutOfMemoryException at whoever runs, or ends the process. A listener takes the last
// descriptor of a process for as long as clients come. So it holds some from the start, and accepts only while it does; near the limit it
// gives them back whenever it is not accepting, and takes them again for the next accept.

/// <summary>Descriptors that a listener holds for the time when there are no more. One thread at a time; its users see to it.</summary>
internal sealed class DescriptorReserve(ISocketApi api)
{
    /// <summary>Twice the four that .NET needs to start a thread.</summary>
    public const int Size = 8;

    private readonly nint[] _held = new nint[Size];
    private int _count;
    private bool _nearLimit;

    /// <summary>
    /// Takes in which descriptor an accept got: the system gives out the lowest number that is free, so a high one says that few are left.
    /// </summary>
    public void NoteAccepted(nint fd) => _nearLimit = fd + 2 * Size >= api.MaxDescriptors;

    /// <summary>Takes in that there was none.</summary>
    public void NoteShortage() => _nearLimit = true;

    /// <summary>An accept is over: near the limit what is held is for others to use.</summary>
    public void Relax()
    {
        if (_nearLimit) Release();
    }

    /// <summary>Fills the reserve. 0, or the error when there is not enough.</summary>
    public IoResult Take()
    {
        while (_count < Size)
        {
            IoResult result = api.Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            if (!result.IsSuccess) return result;
            _held[_count++] = result.Value;
        }
        return 0;
    }

    public void Release()
    {
        while (_count > 0) api.Close(_held[--_count]);
    }
}
