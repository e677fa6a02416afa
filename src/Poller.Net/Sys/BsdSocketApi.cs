using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// macOS has no call that creates a descriptor close-on-exec and non-blocking. Each BSD has one, but with other numbers, so we use the path
// of macOS for all of them: create, then set both. A child process that another thread starts in between inherits the descriptor.

/// <summary>The socket calls of macOS and the BSDs.</summary>
internal sealed unsafe partial class BsdSocketApi(SocketNumbers os) : UnixSocketApi(os)
{
    /// <summary>Each of these kernels cuts it down to the administrator's limit (solisten in uipc_socket.c).</summary>
    public override int MaxBacklog => int.MaxValue;

    public override IoResult Accept(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        IoResult accepted;
        fixed (byte* a = address) accepted = Result(accept((int)fd, a, &length));
        addressLength = Math.Min((int)length, address.Length);
        if (!accepted.IsSuccess) return accepted;

        bool isDead = Numbers.AcceptsTheDead && addressLength == 0 && !address.IsEmpty;
        IoResult result = isDead ? Errno.ECONNABORTED : SetUp(accepted.Value);
        if (result.IsSuccess && !Numbers.InheritsTcpOptions) result = CopyTcpOptions((int)fd, accepted.Value);

        // xnu refuses to set any option of a socket that its peer has reset.
        return OrClose(accepted, Numbers.AcceptsTheDead && result == Errno.EINVAL ? Errno.ECONNABORTED : result);
    }

    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)recv((int)fd, b, buffer.Length, Numbers.MSG_DONTWAIT));
    }

    public override IoResult Peek(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)recv((int)fd, b, buffer.Length, Numbers.MSG_DONTWAIT | Numbers.MSG_PEEK));
    }

    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)send((int)fd, b, buffer.Length, Numbers.MSG_DONTWAIT | Numbers.MSG_NOSIGNAL));
    }

    private protected override IoResult Create(int domain, int type, int protocol)
    {
        IoResult made = Result(socket(domain, type, protocol));
        return made.IsSuccess ? OrClose(made, SetUp(made.Value)) : made;
    }

    private IoResult CopyTcpOptions(int from, int to)
    {
        IoResult result = 0;
        foreach (int name in (ReadOnlySpan<int>)[Numbers.TCP_NODELAY, Numbers.TCP_KEEPIDLE, Numbers.TCP_KEEPINTVL, Numbers.TCP_KEEPCNT])
        {
            if (name == 0) continue;
            result = Get(from, Numbers.IPPROTO_TCP, name, out int value);
            if (result.IsSuccess) result = Set(to, Numbers.IPPROTO_TCP, name, value);
            if (!result.IsSuccess) break;
        }
        return result;
    }

    private IoResult OrClose(IoResult fd, IoResult result)
    {
        if (result.IsSuccess) return fd;
        Close(fd.Value);
        return result;
    }

    [LibraryImport(Library, SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int accept(int fd, byte* address, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint recv(int fd, byte* buffer, nint length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint send(int fd, byte* buffer, nint length, int flags);
}
