using System.Net.Sockets;
using BenchmarkDotNet.Attributes;

namespace Poller.Benchmarks;

/// <summary>
/// A message in pieces of 100 bytes goes out over loopback TCP: by a write for each piece, by one gathered write, and by one write of a
/// copy. The peer reads it, which the result includes.
/// </summary>
public class GatheredWriteBenchmarks
{
    private const int Size = 100;

    private ReadOnlyMemory<byte>[] _pieces = [];
    private List<ArraySegment<byte>> _segments = [];
    private byte[] _copy = [];
    private byte[] _received = [];
    private DialedConn? _dialed;

    [Params(2, 10, 100)]
    public int Pieces { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _dialed = new DialedConn();
        _pieces = [.. Enumerable.Range(0, Pieces).Select(static _ => (ReadOnlyMemory<byte>)new byte[Size])];
        _segments = [.. Enumerable.Range(0, Pieces).Select(static _ => new ArraySegment<byte>(new byte[Size]))];
        _copy = new byte[Pieces * Size];
        _received = new byte[Pieces * Size];
    }

    [Benchmark(Baseline = true)]
    public void Gathered()
    {
        _dialed!.Conn.Write(_pieces);
        Receive();
    }

    [Benchmark]
    public void Separate()
    {
        foreach (ReadOnlyMemory<byte> piece in _pieces) _dialed!.Conn.Write(piece.Span);
        Receive();
    }

    [Benchmark]
    public void Copied()
    {
        int start = 0;
        foreach (ReadOnlyMemory<byte> piece in _pieces)
        {
            piece.Span.CopyTo(_copy.AsSpan(start));
            start += Size;
        }
        _dialed!.Conn.Write(_copy);
        Receive();
    }

    /// <summary>System.Net.Sockets' own gathered send, of the same pieces.</summary>
    [Benchmark]
    public void SocketGathered()
    {
        _dialed!.Peer.Send(_segments);
        for (int left = _received.Length; left > 0;) left -= _dialed.Conn.Read(_received.AsSpan(0, left));
    }

    [GlobalCleanup]
    public void Cleanup() => _dialed!.Dispose();

    private void Receive()
    {
        for (int left = _received.Length; left > 0;) left -= _dialed!.Peer.Receive(_received, 0, left, SocketFlags.None);
    }
}
