using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>What an adopt changes of a socket, as it was before. Others may share the socket, and keep it if the adopt fails.</summary>
internal readonly struct AdoptedState
{
    private readonly ISocketApi _api;
    private readonly nint _fd;
    private readonly IoResult _isNonBlocking;
    private readonly List<(SocketOptionLevel Level, SocketOptionName Name, int Value)> _options = [];

    public AdoptedState(ISocketApi api, nint fd)
    {
        (_api, _fd) = (api, fd);
        _isNonBlocking = fd == (int)fd ? UnixFileApi.IsNonBlocking(fd) : Errno.EBADF;
        if (!_isNonBlocking.IsSuccess) return; // It is no descriptor, and the adopt says so.
        Note(SocketOptionLevel.Tcp, SocketOptionName.NoDelay);
        Note(SocketOptionLevel.Socket, SocketOptionName.KeepAlive);
        Note(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime);
        Note(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval);
        Note(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount);
    }

    /// <summary>Puts it back. The error of the adopt says more than one of this.</summary>
    public void PutBack()
    {
        foreach ((SocketOptionLevel level, SocketOptionName name, int value) in _options) _api.SetOption(_fd, level, name, value);
        if (_isNonBlocking.IsSuccess) _api.SetNonBlocking(_fd, _isNonBlocking.Value != 0);
    }

    // A socket of another kind does not have all of them.
    private void Note(SocketOptionLevel level, SocketOptionName name)
    {
        if (_api.GetOption(_fd, level, name, out int value).IsSuccess) _options.Add((level, name, value));
    }
}
