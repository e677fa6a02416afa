using System.Net;
using Poller.Abstractions;

namespace Poller.Net;

// A send to a receiver whose queue is full gives EAGAIN. For a socket with a peer the system says when there is room. For one without, the
// room is another socket's, and no event tells of it: poll(2) calls the sender writable all the time. So the send tries again after pauses.
//
// The send holds its lock during a pause, as every operation that waits does. So sends keep their order, and a deadline, a token and a close
// end a pause at once.

internal sealed partial class UnixFd
{
    // Guarded by the write lock, and created when first needed.
    private RoomPause? _pause;

    public ValueTask SendWithRoomAsync(
        string name, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress address, CancellationToken token)
    {
        RoomAttempt attempt = new(name, buffer, control, address);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="SendWithRoomAsync"/>.</summary>
    public void SendWithRoom(string name, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress address)
    {
        Packet packet = new() { Name = name, Buffer = buffer, Control = control, Address = address, Backoff = Backoff.ForRoom };
        RunBlocking(
            Direction.Write,
            name,
            ref packet,
            static (fd, ref packet) =>
                ((UnixFd)fd).TrySendWithRoom(packet.Name, packet.Buffer, packet.Control, packet.Address, ref packet.Backoff),
            arms: RoomAttempt.Arms);
    }

    private IoResult TrySendWithRoom(
        string name, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress address, ref Backoff backoff)
    {
        if (backoff.HasBegun && _pause!.IsOn) return Errno.EAGAIN;
        IoResult result = TrySend(name, buffer, control, address, segmentSize: 0);
        if (result == Errno.EAGAIN) (_pause ??= new RoomPause(this)).Begin(backoff.Next());
        return result;
    }

    /// <summary>The operands of a blocking send.</summary>
    private ref struct Packet
    {
        public string Name;
        public ReadOnlySpan<byte> Buffer;
        public ReadOnlySpan<byte> Control;
        public SocketAddress Address;
        public Backoff Backoff;
    }

    /// <summary>A send of one packet that waits for room.</summary>
    private struct RoomAttempt(string name, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress address)
        : IAttempt<int>
    {
        private ReadOnlyMemory<byte> _buffer = buffer;
        private ReadOnlyMemory<byte> _control = control;
        private SocketAddress? _address = address;
        private Backoff _backoff = Backoff.ForRoom;

        public static bool Arms => false;

        public readonly int Result => 0;

        public readonly string Name => name;

        public IoResult Try(PollFd fd) => ((UnixFd)fd).TrySendWithRoom(name, _buffer.Span, _control.Span, _address!, ref _backoff);

        public void Release()
        {
            _buffer = _control = default;
            _address = null;
        }
    }
}
