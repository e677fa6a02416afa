using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net;

// Descriptors in messages: SCM_RIGHTS of unix(7). Go leaves them to its users, as control data of WriteMsgUnix and ReadMsgUnix.
//
// On a stream the descriptors go with the first byte of a send. If the socket takes a part of the bytes, it has taken the descriptors, and
// the rest follows without them. A receive stops behind the bytes that came with descriptors, so no two sets of them mix.
//
// From recvmsg(2) on we own what came. Nothing that can throw lies between the call and the handles but their creation, and if that throws,
// all of them are closed. The caller's memory is looked up before the call.

internal sealed partial class UnixFd
{
    /// <summary>The most descriptors in one message: SCM_MAX_FD of unix(7).</summary>
    public const int MaxHandles = 253;

    private const int SCM_RIGHTS = 1; // On every system.

    // What the options of a Unix socket add on Linux, most of it before the descriptors: credentials 32 bytes, a security label of up to
    // 255, times 96, a pidfd 24, the unread bytes 24. Without room for them the system drops the descriptors.
    private const int OtherControlRoom = 512;

    private const string SendName = "send";
    private const string ReceiveName = "receive";

    public ValueTask SendAsync(ReadOnlyMemory<byte> buffer, IReadOnlyList<SafeHandle> handles, CancellationToken token)
    {
        SendAttempt attempt = new(SendName, buffer, default, Check(buffer.IsEmpty, nameof(buffer), handles));
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="SendAsync"/>.</summary>
    public void Send(ReadOnlySpan<byte> buffer, IReadOnlyList<SafeHandle> handles) =>
        Send(SendName, buffer, default, Check(buffer.IsEmpty, nameof(buffer), handles));

    /// <summary>Sends all bytes to the peer, and the control data with the first of them.</summary>
    public ValueTask SendControlAsync(ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, CancellationToken token)
    {
        CheckControl(buffer.IsEmpty, nameof(buffer), control.Length);
        SendAttempt attempt = new(SendMessageName, buffer, control, null);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="SendControlAsync"/>.</summary>
    public void SendControl(ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control)
    {
        CheckControl(buffer.IsEmpty, nameof(buffer), control.Length);
        Send(SendMessageName, buffer, control, null);
    }

    public ValueTask<ReceivedHandles> ReceiveAsync(Memory<byte> buffer, Memory<SafeHandle?> handles, CancellationToken token)
    {
        CheckRoom(buffer.IsEmpty, nameof(buffer));
        ReceiveAttempt attempt = new(buffer, handles);
        return StartAsync<ReceiveAttempt, ReceivedHandles>(Direction.Read, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="ReceiveAsync"/>.</summary>
    public ReceivedHandles Receive(Span<byte> buffer, Span<SafeHandle?> handles)
    {
        CheckRoom(buffer.IsEmpty, nameof(buffer));
        Receiving receiving = new() { Buffer = buffer, Handles = handles };
        RunBlocking(Direction.Read, ReceiveName, ref receiving, static (fd, ref receiving) =>
            ((UnixFd)fd).TryReceive(receiving.Buffer, receiving.Handles, out receiving.Result));
        return receiving.Result;
    }

    private SafeHandle[] Check(bool isEmpty, string buffer, IReadOnlyList<SafeHandle> handles)
    {
        ArgumentNullException.ThrowIfNull(handles);
        SafeHandle[] copy = [.. handles]; // The operation may wait, and the list is the caller's.
        if (copy.Length > MaxHandles)
        {
            throw new ArgumentException($"{copy.Length} descriptors: at most {MaxHandles} were expected in one message.", nameof(handles));
        }
        if (Array.Exists(copy, static handle => handle is null)) throw new ArgumentException("a handle is null.", nameof(handles));
        CheckControl(isEmpty, buffer, copy.Length);
        return copy;
    }

    private void CheckControl(bool isEmpty, string buffer, int control)
    {
        if (!isEmpty || control == 0 || !_network.IsStream) return;
        throw new ArgumentException("on a stream, descriptors and control data go with a byte: at least one byte was expected.", buffer);
    }

    private void CheckRoom(bool isEmpty, string buffer)
    {
        if (!isEmpty || !_network.IsStream) return;
        throw new ArgumentException("on a stream, descriptors come with a byte: room for at least one byte was expected.", buffer);
    }

    private void Send(string name, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SafeHandle[]? handles)
    {
        Sending sending = new() { Buffer = buffer, Control = control, Handles = handles };
        RunBlocking(Direction.Write, name, ref sending, static (fd, ref sending) =>
        {
            IoResult result = ((UnixFd)fd).TrySend(sending.Buffer, sending.Control, sending.Handles, ref sending.HasBegun, out int done);
            sending.Buffer = sending.Buffer[done..];
            return result;
        });
    }

    private IoResult TrySend(
        ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SafeHandle[]? handles, ref bool hasBegun, out int done)
    {
        done = 0;
        if (!hasBegun)
        {
            IoResult first = handles is null ? SendFirst(buffer, control) : SendFirst(buffer, handles);
            if (!first.IsSuccess) return first;
            hasBegun = true;
            done = first.Value;
        }
        return _network.IsStream ? Send(buffer, ref done) : done;
    }

    private IoResult SendFirst(ReadOnlySpan<byte> buffer, SafeHandle[] handles)
    {
        if (handles.Length == 0) return SendFirst(buffer, default(ReadOnlySpan<byte>));
        Span<int> numbers = stackalloc int[handles.Length];
        int held = 0;
        try
        {
            foreach (SafeHandle handle in handles)
            {
                bool isHeld = false;
                handle.DangerousAddRef(ref isHeld);
                numbers[held++] = (int)handle.DangerousGetHandle();
            }
            ReadOnlySpan<byte> data = MemoryMarshal.AsBytes(numbers);
            Span<byte> control = stackalloc byte[Api.ControlLayout.SpaceFor(data.Length)];
            ControlWriter writer = new(Api.ControlLayout, control);
            writer.Write(Api.SocketLevel, SCM_RIGHTS, data);
            return SendFirst(buffer, control[..writer.Length]);
        }
        finally
        {
            foreach (SafeHandle handle in handles.AsSpan(0, held)) handle.DangerousRelease();
        }
    }

    private IoResult SendFirst(ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control)
    {
        IoResult result;
        do
        {
            result = Api.SendMessage(Fd, buffer, default, control);
        }
        while (result == Errno.EINTR);
        NoteBytes(Direction.Write, result);
        return result;
    }

    private IoResult TryReceive(Span<byte> buffer, Span<SafeHandle?> handles, out ReceivedHandles received)
    {
        int most = Math.Min(handles.Length, MaxHandles);
        Span<byte> control = stackalloc byte[OtherControlRoom + Api.ControlLayout.SpaceFor(most * sizeof(int))];
        received = default;
        IoResult result;
        MessageInfo info;
        do
        {
            result = Api.ReceiveMessage(Fd, buffer, default, control, out info);
        }
        while (result == Errno.EINTR);
        NoteBytes(Direction.Read, result);
        if (!result.IsSuccess) return result;
        int count = Adopt(control[..info.ControlLength], handles, out bool dropped);
        received = new ReceivedHandles
        {
            Bytes = result.Value,
            Handles = count,
            IsTruncated = info.IsTruncated,
            HandlesDropped = dropped || info.IsControlTruncated,
        };
        return result;
    }

    // Makes handles of the descriptors that came, and closes those for which there is no room: the control data has room for more than was
    // asked for. The descriptor of the sender's process, if the user has SO_PASSPIDFD on, is closed too.
    private int Adopt(ReadOnlySpan<byte> control, Span<SafeHandle?> handles, out bool dropped)
    {
        dropped = false;
        int count = 0;
        Exception? error = null;
        ControlReader reader = new(Api.ControlLayout, control);
        while (reader.TryRead(out ControlItem item))
        {
            if (item.Level != Api.SocketLevel) continue;
            if (item.Type == Api.PidFdType && item.Data.Length == sizeof(int))
            {
                // It is below 0 if the system could not make one.
                if (MemoryMarshal.Read<int>(item.Data) is >= 0 and int pidFd) Api.Close(pidFd);
            }
            if (item.Type != SCM_RIGHTS) continue;
            foreach (int fd in MemoryMarshal.Cast<byte, int>(item.Data))
            {
                if (error is not null || count == handles.Length)
                {
                    dropped = true;
                    Api.Close(fd);
                    continue;
                }
                try
                {
                    handles[count] = ToHandle(fd);
                    count++;
                }
#pragma warning disable CA1031 // It is thrown below, when no descriptor is left.
                catch (Exception e)
#pragma warning restore CA1031
                {
                    error = e;
                    Api.Close(fd);
                }
            }
        }
        if (error is null) return count;
        foreach (ref SafeHandle? handle in handles[..count])
        {
            handle!.Dispose();
            handle = null;
        }
        throw new IOException($"{ReceiveName} {Network}: no handles for the descriptors that came: {error.Message}", error);
    }

    private static SafeHandle ToHandle(int fd)
    {
        if (OperatingSystem.IsMacOS()) UnixFileApi.SetCloseOnExec(fd); // It has no MSG_CMSG_CLOEXEC.
        return UnixFileApi.KindOf(fd, out FileKind kind) == Errno.None && kind == FileKind.Socket
            ? new SafeSocketHandle(fd, ownsHandle: true)
            : new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>The operands of a blocking send.</summary>
    private ref struct Sending
    {
        public ReadOnlySpan<byte> Buffer;
        public ReadOnlySpan<byte> Control;
        public SafeHandle[]? Handles;
        public bool HasBegun;
    }

    /// <summary>The operands of a blocking receive, and what it received.</summary>
    private ref struct Receiving
    {
        public Span<byte> Buffer;
        public Span<SafeHandle?> Handles;
        public ReceivedHandles Result;
    }

    private struct SendAttempt(string name, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SafeHandle[]? handles)
        : IAttempt<int>
    {
        private ReadOnlyMemory<byte> _buffer = buffer;
        private ReadOnlyMemory<byte> _control = control;
        private SafeHandle[]? _handles = handles;
        private bool _hasBegun;

        public readonly int Result => 0;

        public readonly string Name => name;

        public IoResult Try(PollFd fd)
        {
            IoResult result = ((UnixFd)fd).TrySend(_buffer.Span, _control.Span, _handles, ref _hasBegun, out int done);
            _buffer = _buffer[done..];
            return result;
        }

        public void Release()
        {
            _buffer = _control = default;
            _handles = null;
        }
    }

    private struct ReceiveAttempt(Memory<byte> buffer, Memory<SafeHandle?> handles) : IAttempt<ReceivedHandles>
    {
        private Memory<byte> _buffer = buffer;
        private Memory<SafeHandle?> _handles = handles;
        private ReceivedHandles _result;

        public readonly ReceivedHandles Result => _result;

        public readonly string Name => ReceiveName;

        public IoResult Try(PollFd fd) => ((UnixFd)fd).TryReceive(_buffer.Span, _handles.Span, out _result);

        public void Release()
        {
            _buffer = default;
            _handles = default;
        }
    }
}
