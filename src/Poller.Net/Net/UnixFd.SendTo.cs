using System.Net;
using Poller.Abstractions;

namespace Poller.Net;

// A send to a receiver whose queue is full gives EAGAIN. For a socket with a peer the system says when there is room. For one without, the
// room is another socket's, and no event tells of it: poll(2) calls the sender writable all the time. So the send tries again after pauses,
// without its lock, and each try sees a deadline, a token and a close.

internal sealed partial class UnixFd
{
    public async ValueTask SendWithRoomAsync(
        string name, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress address, CancellationToken token)
    {
        Tries tries = new(this, name);
        while (true)
        {
            RoomAttempt attempt = new(name, buffer, control, address);
            try
            {
                if (await StartAsync<RoomAttempt, bool>(Direction.Write, ref attempt, token).ConfigureAwait(false)) return;
            }
            catch (ObjectDisposedException) when (tries.HasPaused)
            {
                throw Failed(name, IoResult.ClosedInQueue);
            }
            await tries.PauseAsync(blocking: false, token).ConfigureAwait(false);
        }
    }

    /// <summary>The blocking form of <see cref="SendWithRoomAsync"/>.</summary>
    public void SendWithRoom(string name, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress address)
    {
        Tries tries = new(this, name);
        while (true)
        {
            Packet packet = new() { Name = name, Buffer = buffer, Control = control, Address = address };
            try
            {
                RunBlocking(Direction.Write, name, ref packet, static (fd, ref packet) =>
                {
                    IoResult result = ((UnixFd)fd).TrySend(packet.Name, packet.Buffer, packet.Control, packet.Address, segmentSize: 0);
                    packet.IsSent = result.IsSuccess;
                    return result == Errno.EAGAIN ? 0 : result;
                });
            }
            catch (ObjectDisposedException) when (tries.HasPaused)
            {
                throw Failed(name, IoResult.ClosedInQueue);
            }
            if (packet.IsSent) return;
            Blocking.End(tries.PauseAsync(blocking: true, CancellationToken.None));
        }
    }

    // A send that pauses holds no reference.
    private Exception TimedOutInPause(string name, TimeSpan timeout)
    {
        if (!Incref()) return Failed(name, IoResult.ClosedInQueue);
        try
        {
            return TimedOut(name, timeout);
        }
        finally
        {
            Decref();
        }
    }

    /// <summary>The operands of a blocking send, and whether it is done.</summary>
    private ref struct Packet
    {
        public string Name;
        public ReadOnlySpan<byte> Buffer;
        public ReadOnlySpan<byte> Control;
        public SocketAddress Address;
        public bool IsSent;
    }

    /// <summary>The pauses of one send, within the socket's WriteTimeout.</summary>
    private struct Tries(UnixFd fd, string name)
    {
        private readonly int _timeout = fd.WriteTimeout;
        private Backoff _backoff = Backoff.ForRoom;
        private long _start;

        public bool HasPaused { get; private set; }

        public ValueTask PauseAsync(bool blocking, CancellationToken token)
        {
            if (!HasPaused) _start = fd.Clock.GetTimestamp();
            HasPaused = true;
            TimeSpan pause = _backoff.Next();
            if (_timeout != Timeout.Infinite)
            {
                TimeSpan whole = TimeSpan.FromMilliseconds(_timeout);
                TimeSpan left = whole - fd.Clock.GetElapsedTime(_start);
                if (left <= TimeSpan.Zero) throw fd.TimedOutInPause(name, whole);
                if (left < pause) pause = left;
            }
            return Blocking.PauseAsync(name, blocking, pause, fd.Clock, token);
        }
    }

    /// <summary>A send of one packet that does not wait. Its result is whether there was room.</summary>
    private struct RoomAttempt(string name, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress address)
        : IAttempt<bool>
    {
        private ReadOnlyMemory<byte> _buffer = buffer;
        private ReadOnlyMemory<byte> _control = control;
        private SocketAddress? _address = address;

        public bool Result { get; private set; }

        public readonly string Name => name;

        public IoResult Try(PollFd fd)
        {
            IoResult result = ((UnixFd)fd).TrySend(name, _buffer.Span, _control.Span, _address, segmentSize: 0);
            Result = result.IsSuccess;
            return result == Errno.EAGAIN ? 0 : result;
        }

        public void Release()
        {
            _buffer = _control = default;
            _address = null;
        }
    }
}
