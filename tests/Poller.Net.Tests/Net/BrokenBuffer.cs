using System.Buffers;

namespace Poller.Net.Tests;

/// <summary>A buffer whose owner gives its bytes out <paramref name="spans"/> times, and then throws.</summary>
internal sealed class BrokenBuffer(int spans) : MemoryManager<byte>
{
    public static readonly InvalidDataException Error = new("the buffer is broken");

    private readonly byte[] _bytes = new byte[8];
    private int _spans = spans;

    public override Memory<byte> Memory => CreateMemory(_bytes.Length);

    public override Span<byte> GetSpan() => _spans-- > 0 ? _bytes : throw Error;

    public override MemoryHandle Pin(int elementIndex = 0) => throw Error;

    public override void Unpin() { }

    protected override void Dispose(bool disposing) { }
}
