using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>The net package over one poller: it listens and dials by Go's network names. Safe from any thread.</summary>
/// <remarks>
/// <para>
/// The networks are <c>tcp</c> and <c>udp</c>, and <c>tcp4</c>, <c>tcp6</c>, <c>udp4</c> and <c>udp6</c> for one address family. An address
/// is <c>host:port</c>. The host is a name, an IPv4 address, or an IPv6 address in brackets. The port is a number, or the name of a service,
/// such as <c>https</c>. A network of raw sockets names its protocol, such as <c>ip4:icmp</c>; its address is a host alone.
/// </para>
/// <para>
/// The networks of Unix sockets are <c>unix</c> for streams, <c>unixpacket</c> for connections of messages and <c>unixgram</c> for
/// datagrams; see <see cref="UnixConn"/>. An address is a path of at most 107 bytes, or on Linux <c>@</c> and an abstract name of as many.
/// To listen, an empty address lets the system choose an abstract name.
/// </para>
/// <para>You own the poller; dispose it after the connections.</para>
/// </remarks>
public sealed partial class NetStack
{
    private readonly Netpoller _poller;
    private readonly ISocketApi _api;
    private readonly INameLookup _names;
    private readonly Dictionary<string, SocketNetwork> _networks;

    /// <summary>Creates a net stack over <paramref name="poller"/>.</summary>
    /// <exception cref="PlatformNotSupportedException">PollerKit has no socket calls for this system yet.</exception>
    public NetStack(Netpoller poller) : this(poller, SystemSocketApi.Current) { }

    /// <summary>Creates a net stack over <paramref name="poller"/> with other socket calls and another name look-up.</summary>
    internal NetStack(Netpoller poller, ISocketApi api, INameLookup? names = null)
    {
        ArgumentNullException.ThrowIfNull(poller);
        _poller = poller;
        _api = api;
        _names = names ?? SystemNameLookup.Instance;
        _networks = SocketNetwork.Names.ToDictionary(static name => name, name => SocketNetwork.Of(name, api));
    }

    /// <summary>
    /// Listens on <paramref name="address"/>. An empty host, as in <c>:8888</c>, means every address of the machine, IPv4 and IPv6, or the
    /// one family that the network names. <c>[::]</c>, however it is written, means the same; <c>0.0.0.0</c> means IPv4 alone. A name is
    /// looked up, and an IPv4 address of it is preferred. With port 0, or no port, the system chooses the port.
    /// </summary>
    /// <exception cref="ArgumentException">The network is unknown.</exception>
    /// <exception cref="FormatException">The address is not host:port.</exception>
    /// <exception cref="NetOpException">The system refused, or the name is unknown.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    public ConnListener Listen(string network, string address)
    {
        SocketNetwork found = FindNetwork(network);
        if (found.IsUnix && found.HasConnections) return ListenUnix(found, UnixAddress.ParseLocal(address));
        if (!found.IsTcp)
        {
            const string Expected = "a network of connections was expected: tcp, tcp4, tcp6, unix or unixpacket";
            throw new ArgumentException($"network \"{network}\": {Expected}.", nameof(network));
        }
        IPEndPoint local = NetAddress.Parse(found, address).ForListen(_names, out bool dualStack);
        return Listen(found, local, dualStack);
    }

    /// <summary>
    /// Listens on one address. <see cref="IPAddress.IPv6Any"/> means IPv6 alone; for both families use <see cref="Listen(string, string)"/>
    /// without a host. An IPv4-mapped address means the IPv4 address.
    /// </summary>
    /// <exception cref="NetOpException">The system refused.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    public TcpConnListener ListenTcp(IPEndPoint local)
    {
        ArgumentNullException.ThrowIfNull(local);
        return Listen(_networks["tcp"], NetAddress.Copy(local), dualStack: false);
    }

    /// <summary>
    /// Connects to <paramref name="address"/>. An empty host means this machine. It tries the addresses of a name in turn; if all fail, it
    /// throws the first one's error. If nobody answers, the system decides how long it takes, perhaps minutes, unless the token ends it.
    /// </summary>
    /// <exception cref="ArgumentException">The network is unknown.</exception>
    /// <exception cref="FormatException">The address is not host:port.</exception>
    /// <exception cref="NetOpException">
    /// The system or the peer refused, the name is unknown, or the poller was disposed meanwhile.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask<Conn> DialAsync(string network, string address, CancellationToken cancellationToken = default) =>
        await DialAsync(network, address, Mode(null, cancellationToken)).ConfigureAwait(false);

    /// <summary>
    /// As <see cref="DialAsync(string, string, CancellationToken)"/>, with a time-out for the whole dial, including the name look-up. Each
    /// address gets an equal share of the time that is left, or two seconds if that is more, and never more than what is left. When the
    /// time is over, the dial fails with <see cref="NetOpException.IsTimeout"/>. With <see cref="Timeout.InfiniteTimeSpan"/> the system
    /// decides how long it takes.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The time-out is neither above zero nor infinite.</exception>
    /// <inheritdoc cref="DialAsync(string, string, CancellationToken)"/>
    public async ValueTask<Conn> DialAsync(
        string network, string address, TimeSpan timeout, CancellationToken cancellationToken = default) =>
        await DialAsync(network, address, Mode(timeout, cancellationToken)).ConfigureAwait(false);

    /// <summary>
    /// The blocking form of <see cref="DialAsync(string, string, TimeSpan, CancellationToken)"/>; null means no time-out.
    /// </summary>
    /// <inheritdoc cref="DialAsync(string, string, TimeSpan, CancellationToken)"/>
    public Conn Dial(string network, string address, TimeSpan? timeout = null) =>
        Blocking.Result(DialAsync(network, address, Mode(timeout)));

    /// <summary>
    /// Connects to an <see cref="IPEndPoint"/>, or to a <see cref="DnsEndPoint"/>, whose name is looked up as in
    /// <see cref="DialAsync(string, string, CancellationToken)"/>. The address family of a <see cref="DnsEndPoint"/> restricts the
    /// addresses that it tries.
    /// </summary>
    /// <exception cref="ArgumentException">The end point is of another kind.</exception>
    /// <exception cref="FormatException">The host is neither a name nor an address.</exception>
    /// <exception cref="NetOpException">
    /// The system or the peer refused, the name is unknown, or the poller was disposed meanwhile.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask<TcpConn> DialTcpAsync(EndPoint remote, CancellationToken cancellationToken = default) =>
        DialAsync(remote, Mode(null, cancellationToken));

    /// <summary>
    /// As <see cref="DialTcpAsync(EndPoint, CancellationToken)"/>, with a time-out as in
    /// <see cref="DialAsync(string, string, TimeSpan, CancellationToken)"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The time-out is neither above zero nor infinite.</exception>
    /// <inheritdoc cref="DialTcpAsync(EndPoint, CancellationToken)"/>
    public ValueTask<TcpConn> DialTcpAsync(EndPoint remote, TimeSpan timeout, CancellationToken cancellationToken = default) =>
        DialAsync(remote, Mode(timeout, cancellationToken));

    /// <summary>The blocking form of <see cref="DialTcpAsync(EndPoint, TimeSpan, CancellationToken)"/>; null means no time-out.</summary>
    /// <inheritdoc cref="DialTcpAsync(EndPoint, TimeSpan, CancellationToken)"/>
    public TcpConn DialTcp(EndPoint remote, TimeSpan? timeout = null) => Blocking.Result(DialAsync(remote, Mode(timeout)));

    /// <summary>Connects to a host: a name, or an address without brackets.</summary>
    /// <exception cref="ArgumentException">The host is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The port is not between 0 and 65,535.</exception>
    /// <inheritdoc cref="DialTcpAsync(EndPoint, CancellationToken)"/>
    public ValueTask<TcpConn> DialTcpAsync(string host, int port, CancellationToken cancellationToken = default) =>
        DialAsync(new DnsEndPoint(host, port), Mode(null, cancellationToken));

    /// <summary>
    /// As <see cref="DialTcpAsync(string, int, CancellationToken)"/>, with a time-out as in
    /// <see cref="DialAsync(string, string, TimeSpan, CancellationToken)"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The port is not between 0 and 65,535, or the time-out is neither above zero nor infinite.
    /// </exception>
    /// <inheritdoc cref="DialTcpAsync(string, int, CancellationToken)"/>
    public ValueTask<TcpConn> DialTcpAsync(string host, int port, TimeSpan timeout, CancellationToken cancellationToken = default) =>
        DialAsync(new DnsEndPoint(host, port), Mode(timeout, cancellationToken));

    /// <summary>
    /// The blocking form of <see cref="DialTcpAsync(string, int, TimeSpan, CancellationToken)"/>; null means no time-out.
    /// </summary>
    /// <inheritdoc cref="DialTcpAsync(string, int, TimeSpan, CancellationToken)"/>
    public TcpConn DialTcp(string host, int port, TimeSpan? timeout = null) =>
        Blocking.Result(DialAsync(new DnsEndPoint(host, port), Mode(timeout)));

    private DialMode Mode(TimeSpan? timeout, CancellationToken token) => Mode(blocking: false, timeout, token);

    private DialMode Mode(TimeSpan? timeout) => Mode(blocking: true, timeout, CancellationToken.None);

    private DialMode Mode(bool blocking, TimeSpan? timeout, CancellationToken token)
    {
        if (timeout == Timeout.InfiniteTimeSpan) timeout = null;
        if (timeout <= TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "a time-out above zero, or none, was expected.");
        }
        return new DialMode(blocking, timeout, _poller.TimeProvider, token);
    }

    /// <summary>The network of a name, which may be one of raw sockets, such as <c>ip4:icmp</c>.</summary>
    /// <exception cref="ArgumentException">There is no such network.</exception>
    internal SocketNetwork FindNetwork(string network)
    {
        ArgumentNullException.ThrowIfNull(network);
        if ((_networks.GetValueOrDefault(network) ?? SocketNetwork.OfRaw(network, _api)) is { } found) return found;
        const string Raw = "or ip, ip4 or ip6 with a protocol over IP, like ip4:icmp or ip6:58,";
        throw new ArgumentException(
            $"unknown network \"{NetAddress.Show(network)}\"; {string.Join(", ", SocketNetwork.Names)}, {Raw} was expected.", nameof(network));
    }

    /// <summary>The network of a kind of addresses, such as <c>tcp</c>, for one family; Unspecified means both.</summary>
    internal SocketNetwork FindNetwork(string kind, AddressFamily family) => _networks[family switch
    {
        AddressFamily.InterNetwork => $"{kind}4",
        AddressFamily.InterNetworkV6 => $"{kind}6",
        _ => kind,
    }];

    private async ValueTask<Conn> DialAsync(string network, string address, DialMode mode)
    {
        SocketNetwork found = FindNetwork(network);
        if (found.IsUnix) return await DialUnixAsync(found, UnixAddress.ParseRemote(address), mode).ConfigureAwait(false);
        if (found.IsTcp) return await DialAsync(NetAddress.Parse(found, address), mode).ConfigureAwait(false);
        return await DialPacketAsync(NetAddress.Parse(found, address), mode).ConfigureAwait(false);
    }

    private TcpConnListener Listen(SocketNetwork network, IPEndPoint local, bool dualStack) =>
        new(NetListenFd.Listen(_poller, network, local, dualStack));

    private ValueTask<TcpConn> DialAsync(EndPoint remote, DialMode mode)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return remote switch
        {
            IPEndPoint ip => DialSerialAsync(_networks["tcp"], [NetAddress.Copy(ip)], mode),
            DnsEndPoint name => DialAsync(NetAddress.Of(FindNetwork("tcp", name.AddressFamily), name), mode),
            _ => throw new ArgumentException($"{remote}: an IPEndPoint or a DnsEndPoint was expected.", nameof(remote)),
        };
    }

    private async ValueTask<TcpConn> DialAsync(NetAddress address, DialMode mode)
    {
        mode.Token.ThrowIfCancellationRequested();
        List<IPEndPoint> remotes = await address.ForDialAsync(_names, mode).ConfigureAwait(false);
        return await DialSerialAsync(address.Network, remotes, mode).ConfigureAwait(false);
    }

    // Dials the addresses of a name in turn. If all fail, it throws the first one's error. The twin of dialSerial in Go's net/dial.go.
    private async ValueTask<TcpConn> DialSerialAsync(SocketNetwork network, List<IPEndPoint> remotes, DialMode mode)
    {
        NetOpException? first = null;
        for (int i = 0; i < remotes.Count; i++)
        {
            try
            {
                return await DialSingleAsync(network, remotes[i], mode, addresses: remotes.Count - i).ConfigureAwait(false);
            }
            catch (NetOpException e) when (!e.IsClosed)
            {
                first ??= e;
            }
        }
        throw first!;
    }

    // The twin of doDialTCPProto in Go's net/tcpsock_posix.go.
    private async ValueTask<TcpConn> DialSingleAsync(SocketNetwork network, IPEndPoint remote, DialMode mode, int addresses)
    {
        const int SelfConnects = 2;
        for (int attempt = 0; ; attempt++)
        {
            mode.Token.ThrowIfCancellationRequested();
            TimeSpan? share = mode.Share(addresses);
            if (share == TimeSpan.Zero) throw NetOpException.Timeout("dial", network.Name, null, remote, mode.Timeout);
            NetFd fd = await NetFd.ConnectAsync(_poller, network, remote, mode.Blocking, share, mode.Token)
                .ConfigureAwait(false);
            if (attempt == SelfConnects || !fd.IsSelfConnected) return new TcpConn(fd);
            fd.Dispose();
        }
    }
}
