using System.Text;
using Poller.Abstractions;
using Poller.Net;

namespace Watch;

/// <summary>
/// The standard output, through the poller. A reader that pauses holds up no thread, and the end of the program does not wait for it. Lines
/// are written whole, and at once. Safe from any thread.
/// </summary>
internal sealed class Output(Netpoller poller) : IAsyncDisposable
{
    private const int StandardOutput = 1;

    // Other processes may share it, so it stays blocking. It may be a regular file or /dev/null too.
    private readonly PolledFile _file = new(
        poller, StandardOutput, ownsHandle: false, new PolledFileOptions { NonBlocking = NonBlockingMode.Never, UnpollableIsReady = true });

    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes if a line cannot be written.</summary>
    public Task Failed => _failed.Task;

    /// <summary>Why a line could not be written. Null if nothing failed, or if nobody reads any more, as after <c>Watch … | head -1</c>.</summary>
    public Exception? Error { get; private set; }

    /// <exception cref="IOException">The program was started without a standard output.</exception>
    public static void ThrowIfClosed()
    {
        if (!LibC.IsInherited(StandardOutput)) throw new IOException("standard output: it is closed; an open one was expected.");
    }

    /// <summary>Writes a line. After a failure it does nothing.</summary>
    public async ValueTask SayAsync(string line)
    {
        if (_failed.Task.IsCompleted) return;
        try
        {
            await _file.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));
        }
        catch (NetOpException e) when (!e.IsTimeout && !e.IsClosed)
        {
            if (e.InnerException is not NetpollException { Error: var error } || error != Errno.EPIPE) Error = e;
            _failed.TrySetResult();
        }
    }

    /// <summary>Bounds how long lines may still wait.</summary>
    public void SetDeadline(TimeSpan fromNow) => _file.SetWriteDeadline(fromNow);

    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
