using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;

namespace Poller.Benchmarks;

/// <summary>A wait that holds no buffer, over loopback TCP, compared with a Socket's receive of no bytes, which does the same.</summary>
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory)]
[CategoriesColumn]
public class WaitToReadBenchmarks
{
    private const int Rounds = 256;

    private readonly byte[] _byte = new byte[1];
    private DialedConn? _dialed;
    private Socket? _socket;
    private Socket? _socketPeer;

    [GlobalSetup(Targets = [nameof(Socket), nameof(Conn)])]
    public void Setup()
    {
        _dialed = new DialedConn();
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _socket.Connect(listener.LocalEndPoint!);
        _socketPeer = listener.Accept();
        _socketPeer.NoDelay = true;
    }

    [GlobalSetup(Targets = [nameof(SocketReady), nameof(ConnReady)])]
    public void SetupReady()
    {
        Setup();
        Send(_dialed!.Peer);
        Send(_socketPeer!);
    }

    /// <summary>A byte is there and stays there, so the wait completes at once.</summary>
    [BenchmarkCategory("Ready"), Benchmark(Baseline = true)]
    public ValueTask<int> SocketReady() => _socket!.ReceiveAsync(Memory<byte>.Empty);

    /// <inheritdoc cref="SocketReady"/>
    [BenchmarkCategory("Ready"), Benchmark]
    public ValueTask<bool> ConnReady() => _dialed!.Conn.WaitToReadAsync();

    /// <summary>
    /// The wait begins, the peer sends a byte, the wait ends, and the byte is read. The result includes all of it. The thread that
    /// continues after the wait also plays the peer: a pool thread for a Socket, the loop's own thread for a connection.
    /// </summary>
    [BenchmarkCategory("Wait"), Benchmark(Baseline = true, OperationsPerInvoke = Rounds)]
    public Task Socket()
    {
        Task rounds = SocketRounds();
        Send(_socketPeer!);
        return rounds;
    }

    /// <inheritdoc cref="Socket"/>
    [BenchmarkCategory("Wait"), Benchmark(OperationsPerInvoke = Rounds)]
    public Task Conn()
    {
        Task rounds = ConnRounds();
        Send(_dialed!.Peer);
        return rounds;
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _dialed!.Dispose();
        _socket!.Dispose();
        _socketPeer!.Dispose();
    }

    private async Task SocketRounds()
    {
        ValueTask<int> wait = _socket!.ReceiveAsync(Memory<byte>.Empty);
        for (int round = 1; ; round++)
        {
            await wait.ConfigureAwait(false);
            Received(await _socket.ReceiveAsync(_byte.AsMemory()).ConfigureAwait(false));
            if (round == Rounds) return;
            wait = _socket.ReceiveAsync(Memory<byte>.Empty);
            Send(_socketPeer!);
        }
    }

    private async Task ConnRounds()
    {
        ValueTask<bool> wait = _dialed!.Conn.WaitToReadAsync();
        for (int round = 1; ; round++)
        {
            await wait.ConfigureAwait(false);
            Received(await _dialed.Conn.ReadAsync(_byte).ConfigureAwait(false));
            if (round == Rounds) return;
            wait = _dialed.Conn.WaitToReadAsync();
            Send(_dialed.Peer);
        }
    }

    private void Send(Socket peer) => peer.Send(_byte);

    private static void Received(int count)
    {
        if (count != 1) throw new InvalidOperationException($"a read after the wait returned {count} bytes; 1 was expected.");
    }
}
