using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// close(2) of a socket with SO_LINGER blocks its thread, even if the socket is non-blocking, until the peer has acknowledged all bytes or
// the seconds are over. So we close in stages that block no thread: end the writing side, wait in the poller, and close when there is
// nothing left to wait for. Go leaves a thread in close(2).
//
//   begun   -> closed   all is acknowledged, the connection is dead, or the loop does not take the descriptor
//   begun   -> waiting  for the peer to send or to end, or for the next look
//   waiting -> waiting  we drop what the peer sent: if it stayed unread, the close would reset the connection
//   waiting -> closed   all is acknowledged, or the connection is dead: the system closes it as any other
//   waiting -> reset    the seconds are over: bytes that are not acknowledged are dropped
//   waiting -> closed   the poller was disposed or has failed: the system sends the rest in the background

/// <summary>
/// The close of a connection with SO_LINGER above 0, after its <see cref="PollDesc"/> was closed. It owns the descriptor. It runs on the
/// stack of its starter first, and then on the loop.
/// </summary>
internal sealed class LingeringClose : PollWaiter
{
    // An acknowledgement raises no event, so we look for it: first after a round trip in a data centre, and then less and less often. That
    // is ten looks in the first second, and then one a second. MinPause is arbitrary: with half or double there is one look more or less.
    // With half of MaxPause there are two looks a second; with double, a descriptor may stay open for 2 s after the last acknowledgement.
    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(1);

    // How much is read in one turn of the loop from a peer that goes on sending. Over loopback such a turn held the loop for 36 µs. With
    // half the value it took 18 µs, and with double 70.
    private const int MaxDrain = 64 * 1024;

    // Constant.
    private readonly ISocketApi _api;
    private readonly PollLoop _loop;
    private readonly PollDesc _desc;
    private readonly long _end;

    // Touched only by the thread that runs it.
    private Backoff _backoff = new(MinPause, MaxPause);
    private bool _peerHasEnded;
    private bool _isDead;

    private LingeringClose(ISocketApi api, PollLoop loop, PollDesc desc, long end)
    {
        _api = api;
        _loop = loop;
        _desc = desc;
        _end = end;
    }

    /// <summary>Closes <paramref name="fd"/>, which is in no poller, within <paramref name="seconds"/>. Blocks no thread.</summary>
    public static void Begin(ISocketApi api, PollLoop loop, nint fd, int seconds)
    {
        api.Shutdown(fd, SocketShutdown.Send); // The system refuses it if the connection is dead; Advance then finds that.
        if (api.Unsent(fd) != 0)
        {
            try
            {
                PollDesc desc = loop.Open(fd);
                new LingeringClose(api, loop, desc, loop.Clock.After(TimeSpan.FromSeconds(seconds))).Advance();
                return;
            }
            catch (Exception e) when (e is NetpollException or ObjectDisposedException)
            {
                // The poller is full or gone: the system sends the rest in the background.
            }
#pragma warning disable CA1031 // Whatever the backend throws, the descriptor must be closed. The caller may be a loop or the finalizer.
            catch (Exception e)
#pragma warning restore CA1031
            {
                if (loop.Failure is null) loop.Report($"linger fd {fd}", e); // The failure of the loop was reported.
            }
        }
        Close(api, loop, fd, linger: -1);
    }

    public override void Execute()
    {
        _desc.Consume(Direction.Read);
        Advance();
    }

    internal override bool TryWakeThread() => false;

    private void Advance()
    {
        while (true)
        {
            IoResult reason = _desc.Check(Direction.Read);
            if (!reason.IsSuccess && reason != IoResult.Timeout)
            {
                End(linger: -1);
                return;
            }
            if (!TryDrain())
            {
                _loop.Schedule(this); // Others get their turn first.
                return;
            }
            IoResult unsent = _api.Unsent(_desc.Fd);
            bool isDone = unsent.IsSuccess ? unsent == 0 : _peerHasEnded; // If we cannot ask the system, we take the peer's end.

            // A dead connection has no peer. Its error tells less, because an operation before the close may have taken it.
            if (isDone || _isDead || !_api.PeerName(_desc.Fd, default, out _).IsSuccess)
            {
                End(linger: -1);
                return;
            }
            long next = _loop.Clock.After(_backoff.Next());
            if (_loop.Clock.Now >= _end)
            {
                End(linger: 0);
                return;
            }
            _loop.SetDeadline(_desc, PollMode.Read, Math.Min(next, _end));
            try
            {
                // A level-triggered poller would report the peer's end again and again, so after the end we wait only for the next look.
                PollPark park = _peerHasEnded ? _desc.Park(Direction.Read, this) : _loop.Park(_desc, Direction.Read, this);
                if (park == PollPark.Parked) return;
            }
            catch (IOException e)
            {
                // The backend did not arm the descriptor, or threw an exception of its own.
                if (e is not NetpollException) _loop.Report($"linger fd {_desc.Fd}", e);
                End(linger: -1);
                return;
            }
        }
    }

    // Drops what the peer sent. False if there is more than one turn may read.
    private bool TryDrain()
    {
        Span<byte> buffer = stackalloc byte[4096];
        for (int drained = 0; drained < MaxDrain;)
        {
            IoResult result = _api.Receive(_desc.Fd, buffer);
            if (result == Errno.EINTR) continue;
            if (!result.IsSuccess || result == 0)
            {
                _peerHasEnded |= result == 0;
                _isDead = !result.IsSuccess && result != Errno.EAGAIN;
                return true;
            }
            drained += result.Value;
        }
        return false;
    }

    private void End(int linger)
    {
        nint fd = _desc.Fd;
        _loop.Evict(_desc);
        _loop.Close(_desc);
        Close(_api, _loop, fd, linger);
    }

    private static void Close(ISocketApi api, PollLoop loop, nint fd, int linger)
    {
        api.SetOption(fd, SocketOptionLevel.Socket, SocketOptionName.Linger, linger);
        SocketFd.CloseDescriptor(api, loop, fd);
    }
}
