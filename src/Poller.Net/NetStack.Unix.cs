using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

// The twin of Go's net/unixsock.go and unixsock_posix.go: listening and dialing over Unix sockets.
public sealed partial class NetStack
{
    /// <summary>
    /// Listens for stream connections on a path or an abstract name. For messages, use <see cref="Listen"/> with
    /// <c>unixpacket</c>. The path must be free: a file that an earlier listener has left is yours to remove before.
    /// </summary>
    /// <param name="local">
    /// The path or the abstract name. For the abstract name of no character, <c>new("\0")</c>, the system chooses a name (Linux).
    /// </param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="ArgumentException">It is not an address to listen on.</exception>
    /// <exception cref="NetOpException">The system refused, or the control hook threw.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public UnixConnListener ListenUnix(UnixDomainSocketEndPoint local, ListenOptions? options = null) =>
        ListenUnix(_networks["unix"], UnixAddress.Check(local, isRemote: false, nameof(local)), options);

    /// <summary>
    /// Opens a socket of datagrams without a peer (<c>unixgram</c>) on a path or an abstract name. For one with a peer, dial
    /// <c>unixgram</c>.
    /// </summary>
    /// <inheritdoc cref="ListenUnix(UnixDomainSocketEndPoint, ListenOptions?)"/>
    public UnixConn ListenUnixgram(UnixDomainSocketEndPoint local, ListenOptions? options = null) =>
        ListenUnixgram(_networks["unixgram"], UnixAddress.Check(local, isRemote: false, nameof(local)), options);

    /// <summary>
    /// Connects to a listener of stream connections. If the listener's queue is full, the dial tries again until there is room, or until
    /// the token or a time-out ends it.
    /// </summary>
    /// <exception cref="ArgumentException">It is not an address to dial.</exception>
    /// <exception cref="NetOpException">
    /// Nobody listens there, the system refused, a time-out of the <see cref="Dialer"/> passed, its control hook threw, or the poller was
    /// disposed meanwhile.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public ValueTask<UnixConn> DialUnixAsync(UnixDomainSocketEndPoint remote, CancellationToken cancellationToken = default) =>
        _dialer.DialUnixAsync(remote, cancellationToken);

    /// <summary>The blocking form of <see cref="DialUnixAsync(UnixDomainSocketEndPoint, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="DialUnixAsync(UnixDomainSocketEndPoint, CancellationToken)"/>
    public UnixConn DialUnix(UnixDomainSocketEndPoint remote) => _dialer.DialUnix(remote);

    /// <summary>Dials a stream.</summary>
    internal ValueTask<UnixConn> DialUnixAsync(Dialer dialer, UnixDomainSocketEndPoint remote, DialMode mode) =>
        DialUnixAsync(dialer, _networks["unix"], UnixAddress.Check(remote, isRemote: true, nameof(remote)), mode);

    private UnixConnListener ListenUnix(SocketNetwork network, UnixDomainSocketEndPoint local, ListenOptions? options) =>
        new(NetListenFd.Listen(Poller, network, local, Checked(options, network)));

    private UnixConn ListenUnixgram(SocketNetwork network, UnixDomainSocketEndPoint local, ListenOptions? options) =>
        (UnixConn)PacketFd.Listen(Poller, network, local, Checked(options, network)).ToConn();

    private static async ValueTask<UnixConn> DialUnixAsync(
        Dialer dialer, SocketNetwork network, UnixDomainSocketEndPoint remote, DialMode mode)
    {
        mode.Token.ThrowIfCancellationRequested();
        EndPoint? local = dialer.LocalEndPoint switch
        {
            null => null,
            UnixDomainSocketEndPoint unix => UnixAddress.Check(unix, isRemote: false, nameof(Dialer.LocalEndPoint)),
            var other => throw SysDialer.WrongLocal(nameof(UnixDomainSocketEndPoint), network, other),
        };
        Activity? activity = PollerActivities.Dial(dialer.Stack.Poller, network, remote.ToString(), null);
        try
        {
            NetFd fd = await NetFd.ConnectAsync(dialer, network, local, remote, mode, mode.Left).ConfigureAwait(false);
            if (activity is not null) fd.Tag(activity);
            return (UnixConn)fd.ToConn();
        }
        catch (Exception e)
        {
            NoteFailure(dialer, activity, e);
            throw;
        }
        finally
        {
            PollerActivities.End(dialer.Stack.Poller, activity);
        }
    }
}
