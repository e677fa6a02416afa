using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>
/// A chunk goes over loopback TCP into one connection, is copied to another one, and arrives at an ordinary socket: by splice(2), and by
/// reads and writes of a buffer of 80 KiB.
/// </summary>
public class CopyBenchmarks
{
    private byte[] _sent = [];
    private byte[] _received = [];
    private DialedConn? _source;
    private DialedConn? _sink;
    private Task? _copy;

    [Params(1 << 10, 1 << 16, 1 << 20)]
    public int Chunk { get; set; }

    [GlobalSetup(Target = nameof(Spliced))]
    public void SetupSpliced() => Setup(static (from, to) => from.CopyToAsync(to));

    [GlobalSetup(Target = nameof(Buffered))]
    public void SetupBuffered() => Setup(CopyAsync);

    [Benchmark(Baseline = true)]
    public void Spliced() => Pass();

    [Benchmark]
    public void Buffered() => Pass();

    [GlobalCleanup]
    public void Cleanup()
    {
        _source!.Peer.Shutdown(SocketShutdown.Send);
        _copy!.GetAwaiter().GetResult();
        _source.Dispose();
        _sink!.Dispose();
    }

    private static async Task CopyAsync(TcpConn from, TcpConn to)
    {
        byte[] buffer = new byte[80 << 10];
        while (await from.ReadAsync(buffer).ConfigureAwait(false) is > 0 and var count)
        {
            await to.WriteAsync(buffer.AsMemory(0, count)).ConfigureAwait(false);
        }
    }

    private void Setup(Func<TcpConn, TcpConn, Task> copy)
    {
        _sent = new byte[Chunk];
        _received = new byte[Chunk];
        _source = new DialedConn();
        _sink = new DialedConn();
        _copy = copy(_source.Conn, _sink.Conn);
    }

    private void Pass()
    {
        int received = 0;
        for (int sent = 0; sent < Chunk;)
        {
            // The sockets' buffers need not take a whole chunk, so both ends take turns.
            sent += _source!.Peer.Send(_sent, sent, Math.Min(Chunk - sent, 1 << 16), SocketFlags.None);
            if (received < sent) received += _sink!.Peer.Receive(_received, received, Chunk - received, SocketFlags.None);
        }
        while (received < Chunk) received += _sink!.Peer.Receive(_received, received, Chunk - received, SocketFlags.None);
    }
}
