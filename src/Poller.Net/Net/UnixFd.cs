using System.Net;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>The descriptor of a <see cref="UnixConn"/>.</summary>
internal sealed class UnixFd(SocketNetwork network, nint fd, EndPoint? remote = null) : NetFd(network, fd, remote)
{
    protected override string ObjectName => nameof(UnixConn);

    public override Conn ToConn() => new UnixConn(this);

    public PeerCredentials PeerCredentials
    {
        get
        {
            const string Operation = "get PeerCredentials";
            if (!Incref()) throw Failed(Operation, IoResult.Disposed);
            try
            {
                IoResult result = Api.PeerCredentials(Fd, out PeerCredentials credentials);
                return result.IsSuccess ? credentials : throw Failed(Operation, result);
            }
            finally
            {
                Decref();
            }
        }
    }

    protected override string? HintFor(string operation, IoResult result) => (operation, result) switch
    {
        ("dial", _) when result == Errno.ENOENT => "a socket at this path was expected; there is none",
        ("dial", _) when result == Errno.ECONNREFUSED => "nobody listens there; a file may be what a listener has left behind",
        ("dial", _) when result == Errno.EPROTOTYPE => "the socket there is of another kind; the same network on both sides was expected",
        ("dial", _) when result == Errno.EACCES => "the right to write to the socket, and to search its directories, was expected",
        ("get PeerCredentials", _) when result == Errno.ENOTCONN => "a connection was expected; only unix and unixpacket have them",
        _ => base.HintFor(operation, result),
    };
}
