using System.Net;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// A TCP connection: the twin of Go's <c>net.TCPConn</c>. As in Go, TCP_NODELAY and keep-alive are on: see <see cref="KeepAlive"/>.
/// </summary>
public sealed class TcpConn : Conn
{
    internal TcpConn(NetFd fd) : base(fd) { }

    /// <inheritdoc/>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    public override IPEndPoint LocalEndPoint => (IPEndPoint)_fd.LocalEndPoint;

    /// <inheritdoc/>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    public override IPEndPoint RemoteEndPoint => (IPEndPoint)_fd.RemoteEndPoint;

    /// <summary>
    /// The probes by which the system finds out that a silent peer is gone. By default one goes out after 15 s of silence and then every
    /// 15 s, and after 9 without an answer the connection ends.
    /// </summary>
    /// <remarks>The getter returns what the system has now.</remarks>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused. An earlier part of the value may hold.</exception>
    public KeepAliveConfig KeepAlive
    {
        get => _fd.KeepAlive;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            _fd.KeepAlive = value;
        }
    }

    /// <summary>What the system knows of the connection now (TCP_INFO, tcp(7)). Only Linux tells it.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">
    /// The system refused, or is not Linux: <see cref="System.Net.Sockets.SocketError.ProtocolOption"/>.
    /// </exception>
    public TcpInfo GetTcpInfo() => _fd.GetTcpInfo();

    /// <summary>
    /// Sends bytes of a file, as one write. The kernel moves them from the file to the socket (sendfile(2)). If it cannot, which depends on
    /// the file system and the system, the library reads and sends.
    /// </summary>
    /// <param name="file">A regular file or a block device, open for reading. Its position is not used and does not move.</param>
    /// <param name="offset">Where in the file the bytes begin.</param>
    /// <param name="length">How many bytes to send; null means up to the end of the file.</param>
    /// <param name="progress">
    /// Gets the number of bytes that are sent so far, after each system call, on the thread that makes the call. After an error, the last
    /// number is how many were sent; none means 0. It must not block. If it throws, that is the operation's error.
    /// </param>
    /// <param name="cancellationToken">Ends the operation.</param>
    /// <returns>How many bytes were sent.</returns>
    /// <remarks>
    /// Bytes that are not in the system's cache come from the disk, and the calling thread waits for them. After the socket was full, that
    /// is the loop's thread; with adaptive dispatch another one takes over if it takes long.
    /// </remarks>
    /// <exception cref="ArgumentException">The file is neither a regular file nor a block device.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The offset or the length is below 0.</exception>
    /// <exception cref="EndOfStreamException">
    /// The file ended before <paramref name="length"/> bytes. The message says how many were sent.
    /// </exception>
    /// <exception cref="ObjectDisposedException">
    /// The connection is closed, or the file is disposed. If it was disposed meanwhile, the message says how many bytes were sent.
    /// </exception>
    /// <exception cref="NetOpException">
    /// The system refused, the write deadline passed, or the connection was closed meanwhile. A part may be sent.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled. A part may be sent.</exception>
    /// <exception cref="UnauthorizedAccessException">The file is not open for reading.</exception>
    public ValueTask<long> SendFileAsync(
        SafeFileHandle file,
        long offset = 0,
        long? length = null,
        IProgress<long>? progress = null,
        CancellationToken cancellationToken = default)
    {
        CheckFile(file, offset, length);
        return _fd.SendFileAsync(file, offset, length, progress, cancellationToken);
    }

    /// <summary>The blocking form of <see cref="SendFileAsync"/>.</summary>
    /// <inheritdoc cref="SendFileAsync"/>
    public long SendFile(SafeFileHandle file, long offset = 0, long? length = null, IProgress<long>? progress = null)
    {
        CheckFile(file, offset, length);
        return _fd.SendFile(file, offset, length, progress);
    }

    // What has no positions cannot be sent from one, and reading it might block a loop.
    private static void CheckFile(SafeFileHandle file, long offset, long? length)
    {
        ArgumentNullException.ThrowIfNull(file);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        bool held = false;
        file.DangerousAddRef(ref held);
        try
        {
            Errno error = UnixFileApi.KindOf(file.DangerousGetHandle(), out FileKind kind);
            if (error != Errno.None) throw new ArgumentException($"send file: {error.Message}; an open file was expected.", nameof(file));
            if (kind is FileKind.RegularFile or FileKind.BlockDevice) return;
            const string Expected = "a regular file or a block device was expected; copy from a PolledFile's stream instead";
            throw new ArgumentException($"send file: the file is of the kind {kind}, and {Expected}.", nameof(file));
        }
        finally
        {
            file.DangerousRelease();
        }
    }
}
