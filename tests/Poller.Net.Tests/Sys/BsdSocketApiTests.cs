using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// The socket calls of macOS and the BSDs: on such a system by its own table, on Linux by a table of Linux's numbers.
/// </summary>
public sealed class BsdSocketApiTests : IDisposable
{
    // This takes macOS's path: it accepts dead connections and inherits no options.
    private static readonly SocketNumbers LinuxTable = SocketNumbers.Linux with { AcceptsTheDead = true, InheritsTcpOptions = false };

    private readonly BsdSocketApi _api = OperatingSystem.IsLinux() ? new(LinuxTable) : (BsdSocketApi)SystemSocketApi.Current;
    private readonly List<nint> _open = [];

    [Fact]
    public void Bytes_go_through_a_connection()
    {
        (nint near, nint far) = Pair(AddressFamily.InterNetwork);
        byte[] buffer = new byte[8];
        Assert.Equal<IoResult>(Errno.EAGAIN, _api.Receive(near, buffer));
        Assert.Equal<IoResult>(3, _api.Send(far, [1, 2, 3]));
        Assert.Equal<IoResult>(3, Await(() => _api.Peek(near, buffer)));
        Assert.Equal<IoResult>(3, _api.Receive(near, buffer));
        Assert.Equal<byte>([1, 2, 3, 0, 0, 0, 0, 0], buffer);

        Assert.Equal<IoResult>(0, _api.Shutdown(far, SocketShutdown.Send));
        Assert.Equal<IoResult>(0, Await(() => _api.Receive(near, buffer)));
        Assert.Equal<IoResult>(Errno.EPIPE, _api.Send(far, [4]));
    }

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    public void Both_ends_name_each_other(AddressFamily family)
    {
        (nint near, nint far) = Pair(family);

        Assert.Equal(Name(near, remote: false), Name(far, remote: true));
        Assert.Equal(Name(near, remote: true), Name(far, remote: false));
    }

    [Fact]
    public void A_refused_connection_is_told_by_the_socket()
    {
        using Socket silent = Raw.Bind();
        SocketAddress nobody = silent.LocalEndPoint!.Serialize();
        nint fd = Own(_api.Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));

        IoResult result = _api.Connect(fd, nobody.Buffer.Span[..nobody.Size]);
        if (result == Errno.EINPROGRESS) result = Await(() => _api.TakeError(fd) is { IsSuccess: false } error ? error : Errno.EAGAIN);

        Assert.Equal<IoResult>(Errno.ECONNREFUSED, result);
    }

    [Fact]
    public void An_accepted_socket_has_the_options_of_its_listener_and_blocks_nobody()
    {
        (nint near, nint far) = Pair(AddressFamily.InterNetwork);

        using Socket accepted = new(new SafeSocketHandle(far, ownsHandle: false));
        Assert.Equal(1, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay) is not 0 ? 1 : 0);
        Assert.NotEqual(0, accepted.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        if (_api.Numbers.TCP_KEEPIDLE != 0)
        {
            Assert.Equal(17, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
            Assert.Equal(18, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval));
            Assert.Equal(7, accepted.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount));
        }
        Assert.Equal<IoResult>(Errno.EAGAIN, _api.Receive(far, new byte[1]));
        Assert.Equal<IoResult>(Errno.EAGAIN, _api.Receive(near, new byte[1]));
    }

    [Fact]
    public void A_child_inherits_no_socket()
    {
        if (!OperatingSystem.IsLinux()) return; // Only there can this test read the flags without the system's own call.
        const int CloseOnExec = 0x80000, NonBlocking = 0x800;
        (nint near, nint far) = Pair(AddressFamily.InterNetwork);
        foreach (nint fd in (nint[])[near, far])
        {
            string flags = File.ReadLines($"/proc/self/fdinfo/{fd}").First(line => line.StartsWith("flags:", StringComparison.Ordinal));
            Assert.Equal(CloseOnExec | NonBlocking, Convert.ToInt32(flags[6..].Trim(), 8) & (CloseOnExec | NonBlocking));
        }
    }

    [Fact]
    public void Every_option_of_the_net_layer_is_taken()
    {
        nint fd = Own(_api.Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp));
        foreach ((SocketOptionLevel level, SocketOptionName name) in ((SocketOptionLevel, SocketOptionName)[])
        [
            (SocketOptionLevel.Socket, SocketOptionName.ReuseAddress),
            (SocketOptionLevel.Socket, SocketOptionName.KeepAlive),
            (SocketOptionLevel.Tcp, SocketOptionName.NoDelay),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount),
            (SocketOptionLevel.IPv6, SocketOptionName.IPv6Only),
        ])
        {
            Assert.Equal((name, (IoResult)0), (name, _api.SetOption(fd, level, name, 1)));
        }
        Assert.Equal<IoResult>(0, _api.SetOption(fd, SocketOptionLevel.Socket, SocketOptionName.Linger, 5));
        using Socket socket = new(new SafeSocketHandle(fd, ownsHandle: false));
        Assert.Equal(new LingerOption(true, 5), socket.LingerState);
        Assert.Throws<ArgumentOutOfRangeException>(() => { _api.SetOption(fd, SocketOptionLevel.Socket, SocketOptionName.Debug, 1); });
    }

    [Fact]
    public void A_system_without_keep_alive_times_of_a_socket_says_so()
    {
        BsdSocketApi api = new(SocketNumbers.OpenBSD);

        Assert.Equal<IoResult>(Errno.ENOPROTOOPT, api.SetOption(-1, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15));
        Assert.True(api.SetOption(-1, SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 1) == Errno.EBADF);
    }

    [Fact]
    public void What_is_no_descriptor_is_EBADF()
    {
        Assert.Equal<IoResult>(Errno.EBADF, _api.Receive(-1, new byte[1]));
        Assert.Equal<IoResult>(Errno.EBADF, _api.Accept(-1, new byte[28], out int length));
        Assert.InRange(length, 0, 28);
        Assert.Equal<IoResult>(Errno.EBADF, _api.TakeError(-1));
        Assert.Equal<IoResult>(Errno.EBADF, _api.Close(-1));
    }

    [Fact]
    public void The_limits_are_the_systems()
    {
        Assert.True(_api.MaxDescriptors > 0);
        Assert.True(_api.MaxBacklog >= 128);
    }

    [Fact]
    public async Task The_net_layer_works_over_it()
    {
        if (!OperatingSystem.IsLinux()) return; // The poller here is epoll.
        SocketNetwork network = SocketNetwork.Of("tcp", _api);
        using Netpoller poller = new(EpollBackend.Factory);
        using TcpConnListener listener = new(NetListenFd.Listen(poller, network, Raw.AnyLoopbackPort, new ListenOptions()));
        Dialer dialer = new(new NetStack(poller, _api));
        for (int round = 0; round < 50; round++)
        {
            ValueTask<TcpConn> accepting = listener.AcceptTcpAsync();
            using TcpConn client = await dialer.DialTcpAsync(listener.LocalEndPoint);
            using TcpConn server = await accepting;
            Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
            ValueTask<int> read = server.ReadAsync(new byte[8]);
            await client.WriteAsync(new byte[] { 1, 2, 3 });
            Assert.Equal(3, await read.Within());
            client.Reset();
        }
    }

    public void Dispose()
    {
        foreach (nint fd in _open) Assert.Equal<IoResult>(0, _api.Close(fd));
    }

    private nint Own(IoResult fd)
    {
        Assert.True(fd.IsSuccess, $"{fd}");
        _open.Add(fd.Value);
        return fd.Value;
    }

    private nint Listen(AddressFamily family, out SocketAddress address)
    {
        nint listener = Own(_api.Socket(family, SocketType.Stream, ProtocolType.Tcp));
        address = new IPEndPoint(family == AddressFamily.InterNetwork ? IPAddress.Loopback : IPAddress.IPv6Loopback, 0).Serialize();
        Assert.Equal<IoResult>(0, _api.Bind(listener, address.Buffer.Span[..address.Size]));
        Assert.Equal<IoResult>(0, _api.SetOption(listener, SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 1));
        Assert.Equal<IoResult>(0, _api.SetOption(listener, SocketOptionLevel.Socket, SocketOptionName.KeepAlive, 1));
        Assert.Equal<IoResult>(0, _api.SetOption(listener, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 17));
        Assert.Equal<IoResult>(0, _api.SetOption(listener, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 18));
        Assert.Equal<IoResult>(0, _api.SetOption(listener, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 7));
        Assert.Equal<IoResult>(0, _api.Listen(listener, _api.MaxBacklog));
        Assert.Equal<IoResult>(0, _api.LocalName(listener, address.Buffer.Span[..address.Size], out int length));
        Assert.Equal(address.Size, length);
        return listener;
    }

    private (nint Near, nint Far) Pair(AddressFamily family)
    {
        nint listener = Listen(family, out SocketAddress address);
        nint near = Own(_api.Socket(family, SocketType.Stream, ProtocolType.Tcp));
        IoResult connected = _api.Connect(near, address.Buffer.Span[..address.Size]);
        Assert.True(connected == 0 || connected == Errno.EINPROGRESS, $"{connected}");
        byte[] peer = new byte[28];
        int length = 0;
        nint far = Own(Await(() => _api.Accept(listener, peer, out length)));
        Assert.Equal(address.Size, length);
        return (near, far);
    }

    private string Name(nint fd, bool remote)
    {
        byte[] address = new byte[28];
        IoResult result = remote ? _api.PeerName(fd, address, out int length) : _api.LocalName(fd, address, out length);
        Assert.Equal<IoResult>(0, result);
        return Convert.ToHexString(address.AsSpan(0, length));
    }

    // The loopback needs a moment for it.
    private static IoResult Await(Func<IoResult> attempt)
    {
        IoResult result = Errno.EAGAIN;
        Assert.True(SpinWait.SpinUntil(() => (result = attempt()) != Errno.EAGAIN, Fixture.Patience), "nothing came");
        return result;
    }
}
