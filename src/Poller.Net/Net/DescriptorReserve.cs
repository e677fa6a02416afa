using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// .NET needs descriptors at unexpected moments. If there is none, it throws OutOfMemoryException in whatever code runs, or ends the
// process. A server takes every descriptor as long as clients come. So the net layer leaves the last numbers alone.
//
// The system gives out the lowest free number. So a last number is given out only when all numbers below are taken, and the last numbers
// stay free as long as nobody keeps one. We need not hold or count any descriptors.

/// <summary>
/// The last descriptors of the process, which the net layer leaves to .NET. Listeners, dials and accepts use only the numbers below them.
/// </summary>
internal static class DescriptorReserve
{
    /// <summary>The number of descriptors in the reserve.</summary>
    /// <remarks>
    /// strace shows what .NET 10 takes on Linux. Each assembly that it loads takes two descriptors for ever. Starting a thread takes four
    /// for a moment. The first use of Console.Error takes one for ever. The first stack trace with line numbers loads five assemblies and
    /// keeps a .pdb file open: eleven for ever. One server came to its limit before it had done anything else, and then logged an
    /// exception: it took 13 for ever, and 17 at the peak. With a reserve of 8 such a server died in one run of four. 16 is less than the
    /// peak. 32 leaves room for an app's logger and for threads that start together. 64 would be a sixteenth of the usual 1,024.
    /// </remarks>
    public const int Size = 32;

    /// <summary>The hint in the error of a process that has come to its reserve.</summary>
    public static string Expected { get; } =
        $"more than {Size} free descriptors were expected: the last {Size} are left to .NET, which starts threads and loads code with them";

    /// <summary>
    /// Creates a socket. Returns its descriptor or the error, which is EMFILE also if only descriptors of the reserve are free.
    /// </summary>
    public static IoResult Socket(SocketNetwork network, AddressFamily family)
    {
        ISocketApi api = network.Api;
        IoResult result = api.Socket(family, network.Type, network.Protocol);
        if (!result.IsSuccess || result.Value < api.MaxDescriptors - Size) return result;
        api.Close(result.Value);
        return Errno.EMFILE;
    }

    /// <summary>Whether a descriptor is so close to the reserve that the next one may be in it.</summary>
    public static bool IsNear(ISocketApi api, nint fd) => fd >= api.MaxDescriptors - 2 * Size;
}
