using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>A connection's whole life without a message: dialed, accepted and closed at both ends, over loopback TCP.</summary>
/// <remarks>
/// One async flow plays both ends. The dialing end closes with a reset, so that TIME_WAIT does not use up the ports. The Socket gets the
/// options that a connection has by default, so that both do the same work.
/// </remarks>
public class DialBenchmarks
{
    private const int Rounds = 32;

    private static readonly LingerOption Reset = new(enable: true, seconds: 0);

    private readonly Netpoller _poller = new(Backends.Epoll);
    private NetStack? _net;
    private TcpConnListener? _listener;
    private Socket? _socketListener;

    [GlobalSetup]
    public void Setup()
    {
        _net = new NetStack(_poller);
        _listener = _net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        _socketListener = NewSocket();
        _socketListener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socketListener.Listen();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Rounds)]
    public async Task Socket()
    {
        for (int i = 0; i < Rounds; i++)
        {
            using Socket dialed = NewSocket();
            await dialed.ConnectAsync(_socketListener!.LocalEndPoint!).ConfigureAwait(false);
            using Socket accepted = await _socketListener.AcceptAsync().ConfigureAwait(false);
            dialed.LingerState = Reset;
            dialed.Dispose();
        }
    }

    [Benchmark(OperationsPerInvoke = Rounds)]
    public async Task Conn()
    {
        for (int i = 0; i < Rounds; i++)
        {
            using TcpConn dialed = await _net!.DialTcpAsync(_listener!.LocalEndPoint).ConfigureAwait(false);
            using TcpConn accepted = await _listener.AcceptTcpAsync().ConfigureAwait(false);
            dialed.LingerState = new LingerOption(true, 0);
            dialed.Dispose();
        }
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _listener!.Dispose();
        _socketListener!.Dispose();
        _poller.Dispose();
    }

    private static Socket NewSocket()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 15);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 9);
        return socket;
    }
}
