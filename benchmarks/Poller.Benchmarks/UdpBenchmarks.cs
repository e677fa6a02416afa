using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using Poller.Epoll;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>
/// One way over the loopback: a burst of datagrams of 1,200 bytes is sent, and then received, by one thread, so that none is lost and the
/// result has the costs of both sides. A time is that of one datagram.
/// </summary>
public class UdpBenchmarks
{
    private const int Size = 1200;
    private const int Burst = 54; // What fits into one buffer that the system splits.

    private readonly byte[] _sent = new byte[Burst * Size];
    private readonly byte[] _received = new byte[65_536];
    private readonly byte[] _control = new byte[64];
    private readonly SocketAddress _from = new(AddressFamily.InterNetwork);
    private readonly UdpBatch _toSend = new(Burst, Size);
    private readonly UdpBatch _toReceive = new(Burst, Size);
    private Netpoller? _poller;
    private UdpConn? _sender;
    private UdpConn? _receiver;
    private SocketAddress? _address;
    private Socket? _socketSender;
    private Socket? _socketReceiver;
    private SocketAddress? _socketAddress;

    [GlobalSetup(Targets = [nameof(Sockets), nameof(OneByOne), nameof(Batches), nameof(Segments)])]
    public void Setup()
    {
        IPEndPoint any = new(IPAddress.Loopback, 0);
        _poller = new Netpoller(new EpollNetpollFactory());
        NetStack net = new(_poller);
        _sender = net.ListenUdp(any);
        _receiver = net.ListenUdp(any);
        _receiver.ReceiveBufferSize = 1 << 20;
        _address = _receiver.LocalEndPoint.Serialize();
        for (int i = 0; i < Burst; i++) _toSend.TryAdd(_sent.AsSpan(i * Size, Size), _address);

        _socketSender = Bound();
        _socketReceiver = Bound();
        _socketReceiver.ReceiveBufferSize = 1 << 20;
        _socketAddress = _socketReceiver.LocalEndPoint!.Serialize();

        Socket Bound()
        {
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(any);
            return socket;
        }
    }

    [GlobalSetup(Target = nameof(SegmentsJoined))]
    public void SetupJoined()
    {
        Setup();
        _receiver!.ReceivesSegments = true;
    }

    /// <summary>System.Net.Sockets, with addresses that are reused.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = Burst)]
    public int Sockets()
    {
        int bytes = 0;
        for (int i = 0; i < Burst; i++) _socketSender!.SendTo(_sent.AsSpan(i * Size, Size), SocketFlags.None, _socketAddress!);
        while (bytes < _sent.Length) bytes += _socketReceiver!.ReceiveFrom(_received.AsSpan(), SocketFlags.None, _from);
        return bytes;
    }

    [Benchmark(OperationsPerInvoke = Burst)]
    public int OneByOne()
    {
        int bytes = 0;
        for (int i = 0; i < Burst; i++) _sender!.SendTo(_sent.AsSpan(i * Size, Size), _address!);
        while (bytes < _sent.Length) bytes += _receiver!.ReceiveFrom(_received, _from);
        return bytes;
    }

    [Benchmark(OperationsPerInvoke = Burst)]
    public int Batches()
    {
        int datagrams = 0;
        _sender!.SendBatch(_toSend);
        while (datagrams < Burst) datagrams += _receiver!.ReceiveBatch(_toReceive);
        return datagrams;
    }

    /// <summary>The system splits one buffer, and each datagram is received.</summary>
    [Benchmark(OperationsPerInvoke = Burst)]
    public int Segments()
    {
        int bytes = 0;
        _sender!.SendSegments(_sent, Size, _address);
        while (bytes < _sent.Length) bytes += _receiver!.ReceiveFrom(_received, _from);
        return bytes;
    }

    /// <summary>The system splits one buffer, and joins the datagrams again.</summary>
    [Benchmark(OperationsPerInvoke = Burst)]
    public int SegmentsJoined()
    {
        int bytes = 0;
        _sender!.SendSegments(_sent, Size, _address);
        while (bytes < _sent.Length) bytes += _receiver!.ReceiveMessage(_received, _control, _from).Bytes;
        return bytes;
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        IDisposable?[] all = [_sender, _receiver, _poller, _socketSender, _socketReceiver];
        foreach (IDisposable? resource in all) resource?.Dispose();
    }
}
