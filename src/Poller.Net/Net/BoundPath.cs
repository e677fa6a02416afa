using System.Net.Sockets;
using System.Text;

namespace Poller.Net;

// The twin of the unlinking in UnixListener.close of Go's net/unixsock_posix.go. Go removes whatever is at the path then. Here it must be
// the file that bind(2) made. The socket keeps the file's inode in use until it is closed, so its number is no other file's meanwhile.
// Between the look and the removal another process may still put its own file there: no system has a call that does both.

/// <summary>The file that bind(2) made for a Unix socket.</summary>
internal sealed class BoundPath
{
    // Absolute, because the working directory may change. It is not normalised: with symbolic links, a/../b need not be b.
    private readonly string _path;
    private readonly FileIdentity _file;

    private readonly Netpoller _poller;

    private BoundPath(string path, FileIdentity file, Netpoller poller) => (_path, _file, _poller) = (path, file, poller);

    /// <summary>The file of a socket that was just bound; null for an abstract name, or if the system does not tell.</summary>
    public static BoundPath? Of(UnixDomainSocketEndPoint local, Netpoller poller)
    {
        ReadOnlySpan<byte> name = SocketAddressBytes.UnixName(local);
        if (name is [] or [0, ..]) return null;
        string path = Path.Combine(Environment.CurrentDirectory, Encoding.UTF8.GetString(name));
        return UnixFileApi.IdentityOf(path) is { } file ? new BoundPath(path, file, poller) : null;
    }

    /// <summary>
    /// Removes the file, if it is still the one that was made, and reports if the system refuses. Call it before the socket is closed.
    /// </summary>
    public void Unlink()
    {
        if (UnixFileApi.IdentityOf(_path) != _file) return;
        try
        {
            File.Delete(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _poller.Warn($"close {_path}: the file of the socket was not removed: {e.Message}");
        }
    }
}
