using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// Dials with options: the twin of Go's <c>net.Dialer</c>. The defaults are Go's. Make one, and use it for any number of dials. Safe from
/// any thread.
/// </summary>
/// <remarks>
/// <para>
/// A name may have addresses of both families. A dial of <c>tcp</c> then tries them as Go does (Happy Eyeballs, RFC 6555): first
/// those of the family that the name's first address has. After <see cref="FallbackDelay"/>, or at once when those have failed, it tries
/// the others beside them. The first connection wins; when the dial returns, the other attempt has ended and its socket is closed. If all
/// fail, the error is that of the first address, and <see cref="NetOpException.FallbackError"/> and its message hold that of the other
/// family.
/// </para>
/// <para>Within one family the addresses are tried in turn.</para>
/// </remarks>
public sealed record Dialer
{
    private readonly EndPoint? _local;

    /// <summary>Creates a dialer with the default options.</summary>
    /// <exception cref="ArgumentNullException">The stack is null.</exception>
    public Dialer(NetStack stack)
    {
        ArgumentNullException.ThrowIfNull(stack);
        Stack = stack;
    }

    /// <summary>The net stack that the connections belong to.</summary>
    public NetStack Stack { get; }

    /// <summary>
    /// How long a whole dial may take, including the look-up of a name. It counts by the monotonic clock of the poller's
    /// <see cref="TimeProvider"/>. The addresses of a name share it: each gets an equal part of the time that is left, or two seconds if
    /// that is more, and never more than what is left. When the time is over, the dial fails with <see cref="NetOpException.IsTimeout"/>.
    /// With <see cref="Timeout.InfiniteTimeSpan"/>, the default, the system decides how long a dial takes, perhaps minutes.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is neither above zero nor infinite.</exception>
    public TimeSpan Timeout
    {
        get;
        init => field = value > TimeSpan.Zero || value == System.Threading.Timeout.InfiniteTimeSpan
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Timeout: a time above zero, or an infinite one, was expected.");
    } = System.Threading.Timeout.InfiniteTimeSpan;

    /// <summary>
    /// The address on this side; null, the default, leaves it to the system. A wildcard address chooses the port alone. Any other address
    /// restricts a dial to the addresses of its family. A dial of a network that has no such addresses throws
    /// <see cref="ArgumentException"/>. On Linux the Unix address <c>"\0"</c> makes the system choose an abstract name, at
    /// which the peer of a <c>unixgram</c> socket can answer (autobind, unix(7)).
    /// </summary>
    /// <remarks>It is copied when it is set and when it is read.</remarks>
    public EndPoint? LocalEndPoint { get => EndPoints.Copy(_local); init => _local = EndPoints.Copy(value); }

    /// <summary>The keep-alive of the connections, for TCP.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public KeepAliveConfig KeepAlive { get; init => field = value ?? throw new ArgumentNullException(nameof(value)); } = new();

    /// <summary>
    /// How long the addresses of the first family may try alone. The default is 300 ms. With zero both families are tried at once. A
    /// negative time means that all addresses are tried in turn.
    /// </summary>
    public TimeSpan FallbackDelay { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>
    /// Whether TCP is dialed as Multipath TCP (RFC 8684, Linux). If the system or the peer has none, it is TCP. The default is false.
    /// </summary>
    public bool MultipathTcp { get; init; }

    /// <summary>Sees the descriptor before it is bound or connected. The default is null.</summary>
    public SocketControl? Control { get; init; }

    /// <summary>
    /// Connects as <see cref="NetStack.DialAsync(string, string, CancellationToken)"/> does, with these options. A
    /// <see cref="LocalEndPoint"/> of another kind than the network's throws <see cref="ArgumentException"/>.
    /// </summary>
    /// <inheritdoc cref="NetStack.DialAsync(string, string, CancellationToken)"/>
    public ValueTask<Conn> DialAsync(string network, string address, CancellationToken cancellationToken = default) =>
        Stack.DialAsync(this, network, address, Mode(blocking: false, cancellationToken));

    /// <summary>The blocking form of <see cref="DialAsync"/>.</summary>
    /// <inheritdoc cref="DialAsync"/>
    public Conn Dial(string network, string address) =>
        Blocking.Result(Stack.DialAsync(this, network, address, Mode(blocking: true, CancellationToken.None)));

    /// <summary>Connects as <see cref="NetStack.DialTcpAsync"/> does, with these options.</summary>
    /// <inheritdoc cref="NetStack.DialTcpAsync"/>
    public ValueTask<TcpConn> DialTcpAsync(EndPoint remote, CancellationToken cancellationToken = default) =>
        As<TcpConn>(Stack.DialAsync(this, "tcp", remote, Mode(blocking: false, cancellationToken)));

    /// <summary>The blocking form of <see cref="DialTcpAsync"/>.</summary>
    /// <inheritdoc cref="DialTcpAsync"/>
    public TcpConn DialTcp(EndPoint remote) =>
        (TcpConn)Blocking.Result(Stack.DialAsync(this, "tcp", remote, Mode(blocking: true, CancellationToken.None)));

    /// <summary>Opens a socket as <see cref="NetStack.DialUdpAsync"/> does, with these options.</summary>
    /// <inheritdoc cref="NetStack.DialUdpAsync"/>
    public ValueTask<UdpConn> DialUdpAsync(EndPoint remote, CancellationToken cancellationToken = default) =>
        As<UdpConn>(Stack.DialAsync(this, "udp", remote, Mode(blocking: false, cancellationToken)));

    /// <summary>The blocking form of <see cref="DialUdpAsync"/>.</summary>
    /// <inheritdoc cref="DialUdpAsync"/>
    public UdpConn DialUdp(EndPoint remote) =>
        (UdpConn)Blocking.Result(Stack.DialAsync(this, "udp", remote, Mode(blocking: true, CancellationToken.None)));

    /// <summary>
    /// Connects as <see cref="NetStack.DialUnixAsync(UnixDomainSocketEndPoint, CancellationToken)"/> does, with these options. The close
    /// removes the file of a <see cref="LocalEndPoint"/>, unless you clear <see cref="UnixConn.UnlinkOnClose"/>.
    /// </summary>
    /// <inheritdoc cref="NetStack.DialUnixAsync(UnixDomainSocketEndPoint, CancellationToken)"/>
    public ValueTask<UnixConn> DialUnixAsync(UnixDomainSocketEndPoint remote, CancellationToken cancellationToken = default) =>
        Stack.DialUnixAsync(this, remote, Mode(blocking: false, cancellationToken));

    /// <summary>The blocking form of <see cref="DialUnixAsync"/>.</summary>
    /// <inheritdoc cref="DialUnixAsync"/>
    public UnixConn DialUnix(UnixDomainSocketEndPoint remote) =>
        Blocking.Result(Stack.DialUnixAsync(this, remote, Mode(blocking: true, CancellationToken.None)));

    internal DialMode Mode(bool blocking, CancellationToken token) => new(
        blocking, Timeout == System.Threading.Timeout.InfiniteTimeSpan ? null : Timeout, Stack.Poller.TimeProvider, token);

    private static async ValueTask<TConn> As<TConn>(ValueTask<Conn> dial) where TConn : Conn => (TConn)await dial.ConfigureAwait(false);
}
