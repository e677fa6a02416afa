using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>The net package over one poller: it listens and dials by Go's network names. Safe from any thread.</summary>
/// <remarks>
/// <para>
/// The networks are <c>tcp</c> and <c>udp</c>, and <c>tcp4</c>, <c>tcp6</c>, <c>udp4</c> and <c>udp6</c> for one address family. An address
/// is <c>host:port</c>. The host is a name, an IPv4 address, or an IPv6 address in brackets. The port is a number, or the name of a
/// service, such as <c>https</c>. A network of raw sockets names its protocol, such as <c>ip4:icmp</c>; its address is a host alone.
/// </para>
/// <para>
/// The networks of Unix sockets are <c>unix</c> for streams, <c>unixpacket</c> for connections of messages and <c>unixgram</c> for
/// datagrams; see <see cref="UnixConn"/>. An address is a path of at most 107 bytes (103 on macOS and the BSDs), or on Linux <c>@</c> and
/// an abstract name of at most as many. To listen, an empty address lets the system choose an abstract name.
/// </para>
/// <para>
/// You own the poller; dispose it after the connections. A blocking member that must wait for a loop with
/// <see cref="NetpollDispatch.Inline"/>, and is called on a thread of that loop, throws <see cref="InvalidOperationException"/>.
/// </para>
/// </remarks>
public sealed partial class NetStack
{
    private readonly ISocketApi _api;
    private readonly Dictionary<string, SocketNetwork> _networks;
    private readonly Dialer _dialer;

    /// <summary>Creates a net stack over <paramref name="poller"/>.</summary>
    /// <exception cref="PlatformNotSupportedException">PollerKit has no socket calls for this system yet.</exception>
    public NetStack(Netpoller poller) : this(poller, SystemSocketApi.Current) { }

    /// <summary>Creates a net stack over <paramref name="poller"/> with other socket calls and another name look-up.</summary>
    internal NetStack(Netpoller poller, ISocketApi api, INameLookup? names = null)
    {
        ArgumentNullException.ThrowIfNull(poller);
        Poller = poller;
        Names = names ?? SystemNameLookup.Instance;
        _api = api;
        _dialer = new Dialer(this);
        _networks = SocketNetwork.Names.ToDictionary(static name => name, name => SocketNetwork.Of(name, api));
    }

    internal Netpoller Poller { get; }

    internal INameLookup Names { get; }

    /// <summary>
    /// Listens on <paramref name="address"/>. An empty host, as in <c>:8888</c>, means every address of the machine, IPv4 and IPv6, or the
    /// one family that the network names. <c>[::]</c>, however it is written, means the same; <c>0.0.0.0</c> means IPv4 alone. A name is
    /// looked up, and an IPv4 address of it is preferred. With port 0, or no port, the system chooses the port.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="address">The address.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="ArgumentException">
    /// The network is unknown or has no connections, or its one family contradicts <see cref="ListenOptions.DualStack"/>.
    /// </exception>
    /// <exception cref="FormatException">The address is not one of the network.</exception>
    /// <exception cref="NetOpException">The system refused, the name is unknown, or the control hook threw.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public ConnListener Listen(string network, string address, ListenOptions? options = null)
    {
        SocketNetwork found = FindNetwork(network);
        return found switch
        {
            { IsTcp: true } => ListenTcp(found, NetAddress.Parse(found, address).ForListen(Names), options),
            { IsUnix: true, HasConnections: true } => ListenUnix(found, UnixAddress.ParseLocal(address), options),
            _ => throw new ArgumentException(
                $"network \"{network}\": a network of connections was expected: tcp, tcp4, tcp6, unix or unixpacket.", nameof(network)),
        };
    }

    /// <summary>
    /// Opens one listener for each loop of the poller, all on one address of TCP, by <see cref="ListenOptions.ReusePort"/>. A listener and
    /// the connections that it accepts stay on its loop. So accepting scales with the loops: accept from each listener.
    /// </summary>
    /// <remarks>
    /// On Linux and FreeBSD the system spreads the connections over the listeners. One that is closed takes the connections of its backlog
    /// with it. Other options hold for each listener.
    /// </remarks>
    /// <returns>The listeners, in the order of the loops. You own them.</returns>
    /// <inheritdoc cref="Listen"/>
    public IReadOnlyList<TcpConnListener> ListenPerLoop(string network, string address, ListenOptions? options = null)
    {
        SocketNetwork found = FindNetwork(network);
        if (!found.IsTcp) throw new ArgumentException($"network \"{network}\": tcp, tcp4 or tcp6 was expected.", nameof(network));
        ListenOptions shared = Checked(options, found) with { ReusePort = true };
        IPEndPoint local = NetAddress.Parse(found, address).ForListen(Names);
        List<TcpConnListener> listeners = [];
        try
        {
            for (int i = 0; i < Poller.LoopCount; i++)
            {
                listeners.Add(new TcpConnListener(NetListenFd.Listen(Poller, found, EndPoints.Copy(local), shared, i)));
                local.Port = listeners[0].LocalEndPoint.Port;
            }
            return listeners;
        }
        catch
        {
            listeners.ForEach(static listener => listener.Dispose());
            throw;
        }
    }

    /// <summary>
    /// Listens on one address. <see cref="IPAddress.IPv6Any"/> means every address of the machine, IPv4 and IPv6, unless
    /// <see cref="ListenOptions.DualStack"/> is false. An IPv4-mapped address means the IPv4 address.
    /// </summary>
    /// <param name="local">The address. It is copied.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="NetOpException">The system refused, or the control hook threw.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public TcpConnListener ListenTcp(IPEndPoint local, ListenOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(local);
        return ListenTcp(_networks["tcp"], EndPoints.Copy(local), options);
    }

    /// <summary>
    /// Connects to <paramref name="address"/>, with the default options of a <see cref="Dialer"/>. An empty host, <c>[::]</c> and
    /// <c>0.0.0.0</c> mean this machine: a dial of <c>tcp</c> finds a listener of either family. A <see cref="Dialer"/> says how it tries
    /// the addresses of a name, and can set a time-out. If nobody answers, the system decides how long it takes, perhaps minutes, unless
    /// the token ends it.
    /// </summary>
    /// <exception cref="ArgumentException">The network is unknown.</exception>
    /// <exception cref="FormatException">The address is not one of the network.</exception>
    /// <exception cref="NetOpException">
    /// The system or the peer refused, the name is unknown, a time-out of the <see cref="Dialer"/> passed, its control hook threw, or the
    /// poller was disposed meanwhile.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public ValueTask<Conn> DialAsync(string network, string address, CancellationToken cancellationToken = default) =>
        _dialer.DialAsync(network, address, cancellationToken);

    /// <summary>The blocking form of <see cref="DialAsync(string, string, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="DialAsync(string, string, CancellationToken)"/>
    public Conn Dial(string network, string address) => _dialer.Dial(network, address);

    /// <summary>
    /// Connects to an <see cref="IPEndPoint"/>, of which a wildcard address means this machine, or to a <see cref="DnsEndPoint"/>, whose
    /// host is a name or an address without brackets. A name is looked up as in
    /// <see cref="DialAsync(string, string, CancellationToken)"/>. The address family of a <see cref="DnsEndPoint"/> restricts the
    /// addresses that it tries.
    /// </summary>
    /// <exception cref="ArgumentException">The end point is of another kind.</exception>
    /// <exception cref="FormatException">The host is neither a name nor an address.</exception>
    /// <exception cref="NetOpException">
    /// The system or the peer refused, the name is unknown, a time-out of the <see cref="Dialer"/> passed, its control hook threw, or the
    /// poller was disposed meanwhile.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public ValueTask<TcpConn> DialTcpAsync(EndPoint remote, CancellationToken cancellationToken = default) =>
        _dialer.DialTcpAsync(remote, cancellationToken);

    /// <summary>The blocking form of <see cref="DialTcpAsync"/>.</summary>
    /// <inheritdoc cref="DialTcpAsync"/>
    public TcpConn DialTcp(EndPoint remote) => _dialer.DialTcp(remote);

    /// <summary>Dials any network.</summary>
    internal async ValueTask<Conn> DialAsync(Dialer dialer, string network, string address, DialMode mode)
    {
        SocketNetwork found = FindNetwork(network);
        return found switch
        {
            { IsUnix: true } => await DialUnixAsync(dialer, found, UnixAddress.ParseRemote(address), mode).ConfigureAwait(false),
            _ => await DialAsync(dialer, NetAddress.Parse(found, address), mode).ConfigureAwait(false),
        };
    }

    /// <summary>Dials an end point of an IP network that has names for its families: <c>tcp</c> or <c>udp</c>.</summary>
    internal ValueTask<Conn> DialAsync(Dialer dialer, string kind, EndPoint remote, DialMode mode)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return remote switch
        {
            IPEndPoint ip => DialAsync(dialer, NetAddress.Of(_networks[kind], ip), mode),
            DnsEndPoint name => DialAsync(dialer, NetAddress.Of(FindNetwork(kind, name.AddressFamily), name), mode),
            _ => throw new ArgumentException($"{remote}: an IPEndPoint or a DnsEndPoint was expected.", nameof(remote)),
        };
    }

    /// <summary>The network of a name, which may be one of raw sockets, such as <c>ip4:icmp</c>.</summary>
    /// <exception cref="ArgumentException">There is no such network.</exception>
    internal SocketNetwork FindNetwork(string network)
    {
        ArgumentNullException.ThrowIfNull(network);
        if ((_networks.GetValueOrDefault(network) ?? SocketNetwork.OfRaw(network, _api)) is { } found) return found;
        const string Raw = "or ip, ip4 or ip6 with a protocol over IP, like ip4:icmp or ip6:58,";
        string known = string.Join(", ", SocketNetwork.Names);
        throw new ArgumentException($"unknown network \"{EndPoints.Show(network)}\"; {known}, {Raw} was expected.", nameof(network));
    }

    /// <summary>The network of a kind of addresses, such as <c>tcp</c>, for one family; Unspecified means both.</summary>
    internal SocketNetwork FindNetwork(string kind, AddressFamily family) => _networks[family switch
    {
        AddressFamily.InterNetwork => $"{kind}4",
        AddressFamily.InterNetworkV6 => $"{kind}6",
        _ => kind,
    }];

    private TcpConnListener ListenTcp(SocketNetwork network, IPEndPoint local, ListenOptions? options) =>
        new(NetListenFd.Listen(Poller, network, local, Checked(options, network)));

    private static ListenOptions Checked(ListenOptions? options, SocketNetwork network)
    {
        options ??= ListenOptions.Default;
        if (options.DualStack != true || network.Family is AddressFamily.Unspecified or AddressFamily.Unix) return options;
        throw new ArgumentException($"DualStack: a network of both families was expected; {network.Name} is one family.", nameof(options));
    }

    private static async ValueTask<Conn> DialAsync(Dialer dialer, NetAddress address, DialMode mode)
    {
        Netpoller poller = dialer.Stack.Poller;
        Activity? activity = PollerActivities.Dial(poller, address.Network, address.Host, address.Network.IsRaw ? null : address.Port);
        try
        {
            NetFd fd = await new SysDialer(dialer, address.Network).DialAsync(address, mode).ConfigureAwait(false);
            if (activity is not null) fd.Tag(activity);
            return fd.ToConn();
        }
        catch (Exception e)
        {
            NoteFailure(dialer, activity, e);
            throw;
        }
        finally
        {
            PollerActivities.End(poller, activity);
        }
    }

    // The dial of a poller that has not begun may fail in the name look-up. The poller then has no metrics yet.
    private static void NoteFailure(Dialer dialer, Activity? activity, Exception error)
    {
        PollerActivities.Fail(activity, error);
        if (error is NetOpException { IsClosed: false } failed) dialer.Stack.Poller.CountError(failed);
    }
}
