using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>A TCP listener: the twin of Go's <c>net.TCPListener</c>.</summary>
public sealed class TcpConnListener : ConnListener
{
    private readonly NetListenFd _fd;

    // Kept here, so that it is known after the close too. LocalEndPoint returns copies.
    private readonly IPEndPoint _local;

    internal TcpConnListener(NetListenFd fd)
    {
        _fd = fd;
        _local = (IPEndPoint)fd.LocalEndPoint;
    }

    /// <summary>
    /// The address it listens on, with the port that the system chose if port 0 was asked for. It stays known after the close. Each call
    /// returns a copy, which the caller may change.
    /// </summary>
    public override IPEndPoint LocalEndPoint => NetAddress.Copy(_local);

    /// <inheritdoc/>
    public override ValueTask<Conn> AcceptAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<Conn>(op, op.Version);
    }

    /// <summary>As <see cref="AcceptAsync"/>, with the connection's own type.</summary>
    public ValueTask<TcpConn> AcceptTcpAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<TcpConn>(op, op.Version);
    }

    /// <inheritdoc/>
    public override TcpConn Accept() => AcceptTcp();

    /// <summary>The blocking form of <see cref="AcceptTcpAsync"/>.</summary>
    public TcpConn AcceptTcp() => new(_fd.Accept());

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
