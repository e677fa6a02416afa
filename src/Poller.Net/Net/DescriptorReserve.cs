using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// .NET takes descriptors when nobody expects it to, and where it finds none it throws OutOfMemoryException at whoever runs, or ends the
// process. A server takes the last descriptor for as long as clients come. So the net layer leaves the last numbers alone.
//
// The system gives out the lowest number that is free. So the last numbers are taken only when all below them are, and stay free as long
// as nobody keeps one: that holds however many holes there are below. Nothing is held and nothing is counted.

/// <summary>
/// The last descriptors of the process, which the net layer leaves to .NET: it listens, dials and accepts below them.
/// </summary>
internal static class DescriptorReserve
{
    /// <summary>How many they are.</summary>
    /// <remarks>
    /// strace showed what .NET 10 takes on Linux. Each assembly that it loads takes two descriptors for good. The start of a thread takes
    /// four for a moment. The first use of Console.Error takes one for good. The first stack trace with line numbers loads five assemblies
    /// and keeps a .pdb file open: eleven for good. So a server took 13 for good when it came to its limit before it had done anything
    /// else and then logged an exception, and 17 at the peak. With a reserve of 8 such a server died in one run of four. 16 is less than
    /// the peak. 32 leaves room for an app's logger and for threads that start together. 64 would be a sixteenth of the usual 1,024.
    /// </remarks>
    public const int Size = 32;

    /// <summary>What is expected of a process that has come to its reserve.</summary>
    public static string Expected { get; } =
        $"more than {Size} free descriptors were expected: the last {Size} are left to .NET, which starts threads and loads code with them";

    /// <summary>
    /// A new TCP socket: its descriptor, or the error; EMFILE also when only descriptors of the reserve are free.
    /// </summary>
    public static IoResult Socket(ISocketApi api, AddressFamily family)
    {
        IoResult result = api.Socket(family, SocketType.Stream, ProtocolType.Tcp);
        if (!result.IsSuccess || result.Value < api.MaxDescriptors - Size) return result;
        api.Close(result.Value);
        return Errno.EMFILE;
    }

    /// <summary>Whether a descriptor is so close to the reserve that the next may be one of it.</summary>
    public static bool IsNear(ISocketApi api, nint fd) => fd >= api.MaxDescriptors - 2 * Size;
}
