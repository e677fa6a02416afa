using System.Net;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>A TCP listener: the twin of Go's <c>net.TCPListener</c>.</summary>
public sealed class TcpConnListener : ConnListener
{
    private readonly NetListenFd _fd;

    // It is known after the close, too. What is handed out is a copy.
    private readonly IPEndPoint _local;

    internal TcpConnListener(NetListenFd fd)
    {
        _fd = fd;
        _local = fd.LocalEndPoint;
    }

    /// <summary>The address it listens on, with the real port. A copy, which its receiver may change.</summary>
    public override IPEndPoint LocalEndPoint => NetAddress.Copy(_local);

    /// <inheritdoc/>
    public override ValueTask<Conn> AcceptAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<Conn>(op, op.Version);
    }

    /// <summary><see cref="AcceptAsync"/>, typed.</summary>
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
    public override void SetDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.Read, deadline, "set deadline");

    /// <inheritdoc/>
    public override void SetDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.Read, fromNow, "set deadline");

    /// <inheritdoc/>
    public override void Dispose() => _fd.Dispose();

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        _fd.Dispose();
        return new ValueTask(_fd.Destroyed);
    }
}
