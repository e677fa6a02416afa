using Poller.Net;

namespace Watch.Sources;

/// <summary>The standard input.</summary>
internal sealed class StdinSource(PolledFile file) : ByteSource(file)
{
    private const int StandardInput = 0;

    // The shell, and whoever else has the terminal or the pipe, shares the file description. O_NONBLOCK would break their reads, so it stays
    // off, and the poller reads only what is there. A regular file, or /dev/null, cannot be polled and is always ready.
    public static Source Open(Netpoller poller, string _)
    {
        if (!LibC.IsInherited(StandardInput)) throw new SourceException("the standard input is closed; an open one was expected");
        PolledFileOptions options = new() { NonBlocking = NonBlockingMode.Never, UnpollableIsReady = true };
        return new StdinSource(new PolledFile(poller, StandardInput, ownsHandle: false, options));
    }
}
