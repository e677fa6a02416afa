using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

internal abstract unsafe partial class UnixSocketApi
{
    public IoResult SetNonBlocking(nint fd, bool value)
    {
        int on = value ? 1 : 0;
        return Result(Ioctl((int)fd, os.FIONBIO, &on));
    }

    public IoResult SetUp(nint fd)
    {
        IoResult result = Result(Ioctl((int)fd, os.FIOCLEX, null));
        if (result.IsSuccess) result = SetNonBlocking(fd, true);
        return result.IsSuccess && os.SO_NOSIGPIPE != 0 ? Set((int)fd, os.SOL_SOCKET, os.SO_NOSIGPIPE, 1) : result;
    }

    public IoResult Duplicate(nint fd)
    {
        IoResult result = UnixFileApi.Duplicate(fd, (int)fd + 1);
        return result == Errno.EMFILE || result == Errno.EINVAL ? UnixFileApi.Duplicate(fd, 0) : result; // EINVAL: beyond the limit.
    }

    public IoResult Replace(nint fd, nint by)
    {
        IoResult result = Result(dup2((int)by, (int)fd));
        return result.IsSuccess ? Result(Ioctl((int)fd, os.FIOCLEX, null)) : result;
    }

    public IoResult Describe(nint fd, out AddressFamily family, out SocketType type, out ProtocolType protocol, out bool listens)
    {
        (family, type, protocol, listens) = (AddressFamily.Unknown, SocketType.Unknown, ProtocolType.Unspecified, false);
        IoResult result = Get((int)fd, os.SOL_SOCKET, os.SO_TYPE, out int kind);
        if (!result.IsSuccess) return result;
        result = Get((int)fd, os.SOL_SOCKET, os.SO_ACCEPTCONN, out int accepts);
        if (!result.IsSuccess) return result;
        SocketAddress local = new(AddressFamily.InterNetwork, SocketAddressBytes.MaxLength);
        result = LocalName(fd, local.Buffer.Span, out _);
        if (!result.IsSuccess) return result;
        family = local.Family;
        type = kind == os.SOCK_STREAM ? SocketType.Stream
            : kind == os.SOCK_DGRAM ? SocketType.Dgram
            : kind == os.SOCK_SEQPACKET ? SocketType.Seqpacket
            : kind == os.SOCK_RAW ? SocketType.Raw
            : SocketType.Unknown;
        if (os.SO_PROTOCOL != 0 && Get((int)fd, os.SOL_SOCKET, os.SO_PROTOCOL, out int number).IsSuccess) protocol = (ProtocolType)number;
        listens = accepts != 0;
        return 0;
    }

    [LibraryImport(Library, SetLastError = true)]
    private static partial int dup2(int from, int to);
}
