using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// struct msghdr has two layouts. Linux counts buffers and control bytes by size_t. The BSDs and macOS count them by int and socklen_t. The
// count of the buffers is the same bytes in both, because the machines are little-endian and the padding is zero.
//
// MSG_DONTWAIT is in every call here and in the derived classes. Others may share the socket and clear its O_NONBLOCK, and a call that
// blocks would stall a loop. macOS and NetBSD heed the flag in receives alone: their sends look only at O_NONBLOCK.

internal abstract unsafe partial class UnixSocketApi
{
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageStart
    {
        public byte* Name;
        public uint NameLength;
        public IoVector* Buffers;
        public nint BufferCount;
        public byte* Control;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct LinuxMessage
    {
        public MessageStart Start;
        public nint ControlLength;
        public int Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BsdMessage
    {
        public MessageStart Start;
        public uint ControlLength;
        public int Flags;
    }

    public ControlLayout ControlLayout => os.ControlLayout;

    public int SocketLevel => os.SOL_SOCKET;

    public int PidFdType => os.SCM_PIDFD;

    public IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* b = buffer, a = address)
        {
            IoResult result = Transferred(recvfrom((int)fd, b, buffer.Length, os.MSG_DONTWAIT, a, &length));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    public IoResult SendTo(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address)
    {
        fixed (byte* b = buffer, a = address)
        {
            return Transferred(sendto((int)fd, b, buffer.Length, os.MSG_DONTWAIT | os.MSG_NOSIGNAL, a, (uint)address.Length));
        }
    }

    public IoResult ReceiveMessage(
        nint fd, ReadOnlySpan<IoVector> buffers, Span<byte> address, Span<byte> control, out MessageInfo info)
    {
        fixed (IoVector* b = buffers)
        fixed (byte* a = address, c = control)
        {
            MessageStart start = new()
            {
                Name = a,
                NameLength = (uint)address.Length,
                Buffers = b,
                BufferCount = buffers.Length,
                Control = c,
            };
            IoResult result;
            int controlLength;
            int told;
            if (os.CountsMessageBySize)
            {
                LinuxMessage message = new() { Start = start, ControlLength = control.Length };
                result = Transferred(recvmsg((int)fd, &message, os.MSG_DONTWAIT | os.MSG_CMSG_CLOEXEC));
                (start, controlLength, told) = (message.Start, (int)message.ControlLength, message.Flags);
            }
            else
            {
                BsdMessage message = new() { Start = start, ControlLength = (uint)control.Length };
                result = Transferred(recvmsg((int)fd, &message, os.MSG_DONTWAIT | os.MSG_CMSG_CLOEXEC));
                (start, controlLength, told) = (message.Start, (int)message.ControlLength, message.Flags);
            }
            info = !result.IsSuccess ? default : new MessageInfo
            {
                AddressLength = Math.Min((int)start.NameLength, address.Length),
                ControlLength = Math.Min(controlLength, control.Length),
                IsTruncated = (told & os.MSG_TRUNC) != 0,
                IsControlTruncated = (told & os.MSG_CTRUNC) != 0,
            };
            return result;
        }
    }

    public IoResult SendMessage(nint fd, ReadOnlySpan<IoVector> buffers, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control)
    {
        fixed (IoVector* b = buffers)
        fixed (byte* a = address, c = control)
        {
            MessageStart start = new()
            {
                Name = a,
                NameLength = (uint)address.Length,
                Buffers = b,
                BufferCount = buffers.Length,
                Control = c,
            };
            if (os.CountsMessageBySize)
            {
                LinuxMessage message = new() { Start = start, ControlLength = control.Length };
                return Transferred(sendmsg((int)fd, &message, os.MSG_DONTWAIT | os.MSG_NOSIGNAL));
            }
            BsdMessage bsd = new() { Start = start, ControlLength = (uint)control.Length };
            return Transferred(sendmsg((int)fd, &bsd, os.MSG_DONTWAIT | os.MSG_NOSIGNAL));
        }
    }

    // For calls without SetLastError, which costs 7 ns on each call. We read errno only after a call that fails, at the same point where the
    // code that SetLastError generates would read it.
    private protected static IoResult Transferred(nint result) => result >= 0 ? (int)result : new Errno(Marshal.GetLastSystemError());

    [LibraryImport(Library)]
    private static partial nint recvfrom(int fd, byte* buffer, nint length, int flags, byte* address, uint* addressLength);

    [LibraryImport(Library)]
    private static partial nint sendto(int fd, byte* buffer, nint length, int flags, byte* address, uint addressLength);

    [LibraryImport(Library)]
    private static partial nint recvmsg(int fd, void* message, int flags);

    [LibraryImport(Library)]
    private static partial nint sendmsg(int fd, void* message, int flags);
}
