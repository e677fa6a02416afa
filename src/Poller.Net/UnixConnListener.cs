using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>A listener on a Unix socket: the twin of Go's <c>net.UnixListener</c>.</summary>
public sealed class UnixConnListener : ConnListener
{
    private readonly NetListenFd _fd;

    internal UnixConnListener(NetListenFd fd)
    {
        _fd = fd;
        LocalEndPoint = (UnixDomainSocketEndPoint)fd.LocalEndPoint;
    }

    /// <summary>
    /// The path that it listens on, as it was given, or the abstract name, which the system may have chosen. It stays known after the
    /// close.
    /// </summary>
    public override UnixDomainSocketEndPoint LocalEndPoint { get; }

    /// <summary>
    /// Whether the close removes the file at the path: true unless you set it. It removes the file that the listener made, and no other: if
    /// somebody has put another file there since, that stays. A process that ends without the close leaves the file.
    /// </summary>
    public bool UnlinkOnClose { get => _fd.UnlinksOnClose; set => _fd.UnlinksOnClose = value; }

    /// <inheritdoc/>
    public override ValueTask<Conn> AcceptAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<Conn>(op, op.Version);
    }

    /// <summary>As <see cref="AcceptAsync"/>, with the connection's own type.</summary>
    public ValueTask<UnixConn> AcceptUnixAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<UnixConn>(op, op.Version);
    }

    /// <inheritdoc/>
    public override UnixConn Accept() => AcceptUnix();

    /// <summary>The blocking form of <see cref="AcceptUnixAsync"/>.</summary>
    public UnixConn AcceptUnix() => (UnixConn)_fd.Accept().ToConn();

    /// <inheritdoc/>
    public override void SetDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.ReadWrite, deadline, "set deadline");

    /// <inheritdoc/>
    public override void SetDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.ReadWrite, fromNow, "set deadline");

    /// <inheritdoc/>
    public override T Control<TState, T>(TState state, Func<nint, TState, T> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.Control(state, call);
    }

    /// <inheritdoc/>
    /// <remarks>The file at the path stays.</remarks>
    public override Task<SafeSocketHandle> DetachAsync() => _fd.DetachAsync();

    /// <inheritdoc/>
    public override void Dispose() => _fd.Dispose();

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _fd.Dispose();
        return new ValueTask(_fd.Destroyed);
    }
}
