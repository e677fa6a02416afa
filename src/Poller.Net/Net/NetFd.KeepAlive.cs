using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of setKeepAlive, setKeepAliveIdle, setKeepAliveInterval and setKeepAliveCount in Go's net/tcpsockopt_unix.go.
internal partial class NetFd
{
    public KeepAliveConfig KeepAlive
    {
        get
        {
            const string Operation = "get KeepAlive";
            return new KeepAliveConfig
            {
                Enable = GetOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, Operation) != 0,
                Idle = Time(GetTcpOption(SocketOptionName.TcpKeepAliveTime, Operation)),
                Interval = Time(GetTcpOption(SocketOptionName.TcpKeepAliveInterval, Operation)),
                Count = GetTcpOption(SocketOptionName.TcpKeepAliveRetryCount, Operation),
            };
        }

        set
        {
            const string Operation = "set KeepAlive";
            SetTcpOption(SocketOptionName.TcpKeepAliveTime, value.IdleSeconds, Operation);
            SetTcpOption(SocketOptionName.TcpKeepAliveInterval, value.IntervalSeconds, Operation);
            SetTcpOption(SocketOptionName.TcpKeepAliveRetryCount, value.Count, Operation);
            SetOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, value.Enable ? 1 : 0, Operation);
        }
    }

    // Only the administrator can set times that are longer than a socket's own may be. So they are the system's.
    private static TimeSpan? Time(int? seconds) =>
        seconds is { } value && value <= KeepAliveConfig.MaxSeconds ? TimeSpan.FromSeconds(value) : null;

    // Null on a system whose sockets have no times of their own.
    private int? GetTcpOption(SocketOptionName name, string operation)
    {
        using Reference held = Hold(operation);
        IoResult result = Api.GetOption(Fd, SocketOptionLevel.Tcp, name, out int value);
        return result.IsSuccess ? value : result == Errno.ENOPROTOOPT ? null : throw Failed(operation, result);
    }

    private void SetTcpOption(SocketOptionName name, int? value, string operation)
    {
        if (value is { } number) SetOption(SocketOptionLevel.Tcp, name, number, operation);
    }
}
