using Poller.Net;

namespace Watch.Sources;

/// <summary>The reading end of a pipe, such as <c>/dev/fd/3</c>, or of a FIFO. It ends when the last writer has gone.</summary>
internal sealed class PipeSource(PolledFile file) : ByteSource(file)
{
    private bool _hasWriter;

    public static Source Open(Netpoller poller, string path) => new PipeSource(Poll(poller, LibC.Open(path, writes: false)));

    // A read of a FIFO that had no writer yet returns 0, as at the end. A wait waits for the first writer's bytes, or for its going.
    protected override async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        if (!_hasWriter) await File.WaitReadableAsync();
        _hasWriter = true;
        return await base.ReadAsync(buffer);
    }
}
