using System.Net;
using Poller.Abstractions;

namespace Poller.Net;

// A send to a receiver whose queue is full gives EAGAIN. For a socket with a peer the system says when there is room. For one without, the
// room is another socket's, and no event tells of it: poll(2) calls the sender writable all the time. So the send tries again after pauses.
//
// A pause is a wait in the write side, which the backend is not asked to report: a timer of the loop makes the side ready. The send holds its
// lock meanwhile, as every operation that waits does. So sends keep their order, and a deadline, a token and a close end a pause at once.
//
// An edge may come all the same: that of an arriving packet, and one of each try, because the system frees the bytes that it could not
// place. It must not end the pause, or the tries would never rest. So the send waits again as long as _pauses is set. The timer clears it
// and then looks at the side; the send consumes the side's readiness and then looks at _pauses. A full fence lies between the two in both.
// So the send finds the pause over, or the timer makes the side ready.
//
// The timer is the deadline of a PollDesc of its own, which no backend knows, and in which the pause waits:
//
//   idle -> parked     a send begins a pause
//   parked -> parked   a later send begins one, because the earlier send was cancelled: the deadline moves
//   parked -> idle     the deadline has passed: the pause of whichever send is over
//
// Whoever passes the deadline says that nobody is parked, and then ends the pause. So a send that finds it parked is woken, if early.

internal sealed partial class UnixFd
{
    // Guarded by the write lock, and created when first needed: ends the pause between two tries.
    private Pause? _pause;

    // Atomic. Set under the write lock, before the timer is; the timer clears it. One that fires late may cut the pause of a later send.
    private bool _pauses;

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
        if (backoff.HasBegun && Volatile.Read(ref _pauses)) return Errno.EAGAIN;
        IoResult result = TrySend(name, buffer, control, address, segmentSize: 0);
        if (result == Errno.EAGAIN)
        {
            _pause ??= new Pause(this);
            Volatile.Write(ref _pauses, true);
            _pause.Begin(backoff.Next());
        }
        return result;
    }

    private void EndPause()
    {
        Interlocked.Exchange(ref _pauses, false);
        MakeReady(Direction.Write);
    }

    /// <summary>Ends the pause of a send after a time.</summary>
    private sealed class Pause(UnixFd fd) : PollWaiter
    {
        private readonly PollDesc _timer = new(slot: 0);

        // Atomic: whether it waits in the timer.
        private bool _isParked;

        public void Begin(TimeSpan length)
        {
            PollLoop loop = fd.Loop;
            loop.SetDeadline(_timer, PollMode.Read, loop.Clock.After(length));
            if (Interlocked.Exchange(ref _isParked, true)) return;
            if (_timer.Park(Direction.Read, this) != PollPark.Parked) End();
        }

        /// <summary>Takes the timer away, when nobody uses the descriptor any more.</summary>
        public void Remove() => fd.Loop.Timers.Evict(_timer, out _, out _);

        // It needs no thread of the pool, which a program's blocking sends may all have.
        internal override bool TryWakeThread()
        {
            End();
            return true;
        }

        public override void Execute() => End();

        private void End()
        {
            Interlocked.Exchange(ref _isParked, false);
            fd.EndPause();
        }
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
