using System.Text;
using Poller.Net;

namespace Watch.Sources;

/// <summary>A source whose events are the bytes that arrive.</summary>
internal abstract class ByteSource(PolledFile file) : Source(file)
{
    private const int BufferSize = 4096;

    public sealed override async IAsyncEnumerable<string> EventsAsync()
    {
        byte[] bytes = new byte[BufferSize];
        char[] text = new char[BufferSize + 1];
        Decoder decoder = Encoding.UTF8.GetDecoder(); // It keeps the first bytes of a character whose last ones come with the next read.
        while (await ReadAsync(bytes) is > 0 and var count)
        {
            int length = decoder.GetChars(bytes.AsSpan(0, count), text, flush: false);
            yield return $"{Count(count, "byte")} {Text.Quote(text.AsSpan(0, length))}";
        }
        yield return await EndAsync();
    }

    /// <summary>The next bytes, or 0 at the end.</summary>
    protected virtual ValueTask<int> ReadAsync(Memory<byte> buffer) => File.ReadAsync(buffer);

    /// <summary>What the last line says.</summary>
    protected virtual ValueTask<string> EndAsync() => ValueTask.FromResult("the end");
}
