using System.Net;

namespace Poller.Net;

/// <summary>The net package over one poller: listens and dials by Go's network names. Safe from any thread.</summary>
/// <remarks>
/// Networks: <c>tcp</c>, and <c>tcp4</c> and <c>tcp6</c> for one address family. Addresses: <c>host:port</c>, the host a name, an IPv4
/// address or an IPv6 address in brackets, the port a number. The poller is not owned: it is disposed by whoever made it, after the
/// connections.
/// </remarks>
public sealed class NetStack
{
    private readonly Netpoller _poller;
    private readonly Dictionary<string, SocketNetwork> _networks;

    /// <summary>A net layer over <paramref name="poller"/>.</summary>
    /// <exception cref="PlatformNotSupportedException">There are no socket calls for this system yet.</exception>
    public NetStack(Netpoller poller) : this(poller, SystemSocketApi.Current) { }

    /// <summary>A net layer over <paramref name="poller"/> and the socket calls that are given.</summary>
    internal NetStack(Netpoller poller, ISocketApi api)
    {
        ArgumentNullException.ThrowIfNull(poller);
        _poller = poller;
        _networks = NetAddress.Networks.Keys.ToDictionary(static name => name, name => new SocketNetwork(name, api));
    }

    /// <summary>
    /// Listens on <paramref name="address"/>. No host, as in <c>:8888</c>, is every address of the machine, IPv4 and IPv6, or the one family
    /// that the network names. The address <c>[::]</c>, however it is written, is the same; <c>0.0.0.0</c> is IPv4 alone. A name is looked
    /// up, and an IPv4 address of it is preferred. Port 0, or none, lets the system choose.
    /// </summary>
    /// <exception cref="ArgumentException">The network is not known.</exception>
    /// <exception cref="FormatException">The address is not host:port.</exception>
    /// <exception cref="NetOpException">The system refused, or does not know the name.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    public ConnListener Listen(string network, string address)
    {
        IPEndPoint local = NetAddress.Parse(network, address).ForListen(out bool dualStack);
        return Listen(network, local, dualStack);
    }

    /// <summary>
    /// Listens on one address. <see cref="IPAddress.IPv6Any"/> is IPv6 alone; for both families use <see cref="Listen(string, string)"/>
    /// with no host. An IPv4-mapped address is taken for the IPv4 address.
    /// </summary>
    /// <exception cref="NetOpException">The system refused.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    public TcpConnListener ListenTcp(IPEndPoint local)
    {
        ArgumentNullException.ThrowIfNull(local);
        return Listen("tcp", NetAddress.Copy(local), dualStack: false);
    }

    /// <summary>
    /// Connects to <paramref name="address"/>. The addresses of a name are tried in turn, and the error is the first one's. No host is this
    /// machine. Where nobody answers it takes as long as the system lets it, which may be minutes, unless the token ends it.
    /// </summary>
    /// <exception cref="ArgumentException">The network is not known.</exception>
    /// <exception cref="FormatException">The address is not host:port.</exception>
    /// <exception cref="NetOpException">The system or the peer refused, or the name is not known; or the poller was disposed meanwhile.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask<Conn> DialAsync(string network, string address, CancellationToken cancellationToken = default) =>
        await DialAsync(NetAddress.Parse(network, address), new DialMode(Blocking: false, null, cancellationToken)).ConfigureAwait(false);

    /// <summary>
    /// The blocking form of <see cref="DialAsync(string, string, CancellationToken)"/>. Fails with <see cref="NetOpException.IsTimeout"/>
    /// when it takes longer than <paramref name="timeout"/>, over all addresses; null leaves that to the system. Looking up a name counts,
    /// but is not cut short.
    /// </summary>
    public Conn Dial(string network, string address, TimeSpan? timeout = null)
    {
        DialMode mode = new(Blocking: true, Deadline(timeout), CancellationToken.None);
        return Blocking.Result(DialAsync(NetAddress.Parse(network, address), mode));
    }

    /// <summary>Connects to one address.</summary>
    /// <exception cref="NetOpException">The system or the peer refused; or the poller was disposed meanwhile.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask<TcpConn> DialTcpAsync(IPEndPoint remote, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return DialAsync("tcp", NetAddress.Copy(remote), new DialMode(Blocking: false, null, cancellationToken));
    }

    /// <summary>The blocking form of <see cref="DialTcpAsync"/>; the time-out as in <see cref="Dial"/>.</summary>
    public TcpConn DialTcp(IPEndPoint remote, TimeSpan? timeout = null)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return Blocking.Result(DialAsync("tcp", NetAddress.Copy(remote), new DialMode(Blocking: true, Deadline(timeout), CancellationToken.None)));
    }

    /// <summary>Dials the addresses of a name in turn; the error is the first one's. The twin of dialSerial in Go's net/dial.go.</summary>
    internal async ValueTask<TcpConn> DialSerialAsync(string network, IReadOnlyList<IPEndPoint> remotes, DialMode mode)
    {
        NetOpException? first = null;
        foreach (IPEndPoint remote in remotes)
        {
            try
            {
                return await DialAsync(network, remote, mode).ConfigureAwait(false);
            }
            catch (NetOpException e)
            {
                first ??= e;
            }
        }
        throw first!;
    }

    private DateTimeOffset? Deadline(TimeSpan? timeout)
    {
        if (timeout is not { } span || span == Timeout.InfiniteTimeSpan) return null;
        if (span <= TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), span, "a time-out above zero, or null, was expected.");
        }
        DateTimeOffset now = _poller.TimeProvider.GetUtcNow();
        return span < DateTimeOffset.MaxValue - now ? now + span : DateTimeOffset.MaxValue;
    }

    private TcpConnListener Listen(string network, IPEndPoint local, bool dualStack) =>
        new(NetListenFd.Listen(_poller, _networks[network], local, dualStack));

    private async ValueTask<TcpConn> DialAsync(NetAddress address, DialMode mode)
    {
        IReadOnlyList<IPEndPoint> addresses = await address.ForDialAsync(mode.Blocking, mode.Token).ConfigureAwait(false);
        return await DialSerialAsync(address.Network, addresses, mode).ConfigureAwait(false);
    }

    private async ValueTask<TcpConn> DialAsync(string network, IPEndPoint remote, DialMode mode)
    {
        mode.Token.ThrowIfCancellationRequested();
        const int SelfConnects = 2;
        for (int attempt = 0; ; attempt++)
        {
            NetFd fd = await NetFd.ConnectAsync(_poller, _networks[network], remote, mode).ConfigureAwait(false);
            if (attempt == SelfConnects || !fd.IsSelfConnected) return new TcpConn(fd);
            fd.Dispose();
        }
    }
}
