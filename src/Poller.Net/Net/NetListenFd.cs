using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of netFD.listenStream and netFD.accept in Go's net/sock_posix.go and net/fd_unix.go.

/// <summary>A socket that listens. What it accepts inherits its options (tcp(7)): they are set once, here.</summary>
internal sealed class NetListenFd : NetFd
{
    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(1);

    // Constant.
    private readonly Netpoller _poller;

    // Guarded by the read lock; Destroy runs when nobody can hold it. _inShortage is set by the first refusal, and cleared when the queue
    // is found empty.
    private readonly DescriptorReserve _reserve;
    private bool _inShortage;

    private NetListenFd(Netpoller poller, SocketNetwork network, nint fd)
        : base(network, fd)
    {
        _poller = poller;
        _reserve = new DescriptorReserve(network.Api);
    }

    protected override string ObjectName => nameof(TcpConnListener);

    public static NetListenFd Listen(Netpoller poller, SocketNetwork network, IPEndPoint local, bool dualStack)
    {
        ISocketApi api = network.Api;
        nint fd = NewSocket(network, "listen", local.AddressFamily, local, null);
        NetListenFd? listener = null;
        try
        {
            if (local.AddressFamily == AddressFamily.InterNetworkV6)
            {
                Check(api.SetOption(fd, SocketOptionLevel.IPv6, SocketOptionName.IPv6Only, dualStack ? 0 : 1));
            }
            Check(api.SetOption(fd, SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, 1));
            SocketAddress address = local.Serialize();
            Check(api.Bind(fd, address.Buffer.Span[..address.Size]));
            Check(api.Listen(fd, api.MaxBacklog));
            PollLoop loop = poller.NextLoop(); // May be the first use of the poller, and fail; the descriptor is not the listener's yet.
            listener = new NetListenFd(poller, network, fd);
            listener.Init(loop);
            if (listener._reserve.Take() is { IsSuccess: false } shortage)
            {
                listener.Dispose();
                Check(shortage);
            }
            return listener;
        }
        catch (NetpollException e)
        {
            if (listener is null) api.Close(fd);
            throw NetOpException.Refused("listen", network.Name, local, null, SocketErrors.ToException(e.Error), e.Message);
        }
        catch when (listener is null)
        {
            api.Close(fd);
            throw;
        }

        void Check(IoResult result)
        {
            if (result.IsSuccess) return;
            throw NetOpException.Refused("listen", network.Name, local, null, SocketErrors.ToException(result.Errno), HintFor(result));
        }
    }

    /// <summary>Takes the next connection. The twin of FD.Accept in internal/poll, and of the back-off in net/http's Serve.</summary>
    public async ValueTask<NetFd> AcceptAsync(bool blocking, CancellationToken token)
    {
        token.ThrowIfCancellationRequested();
        bool closedBefore = IsClosed;
        bool locked = blocking ? Lock(PollMode.Read) : await LockAsync(PollMode.Read, token).ConfigureAwait(false);
        if (!locked) throw Failed("accept", closedBefore ? IoResult.Disposed : IoResult.ClosedInQueue);
        try
        {
            IoResult ready = Prepare(PollMode.Read);
            if (!ready.IsSuccess) throw Failed("accept", ready);
            TimeSpan pause = TimeSpan.Zero;
            while (true)
            {
                NetFd? accepted = null;
                IoResult result = _reserve.Take();
                if (result == 0) result = Accept(out accepted);
                _reserve.Relax();
                if (accepted is not null) return accepted;
                if (result == Errno.EINTR || result == Errno.ECONNABORTED) continue; // The peer gave up while it was queued; take the next.
                if (result == Errno.EAGAIN)
                {
                    _inShortage = false;
                    ready = blocking ? WaitReady(PollMode.Read) : await WaitReadyAsync(PollMode.Read, token).ConfigureAwait(false);
                    if (!ready.IsSuccess) throw Failed("accept", ready);
                    continue;
                }
                if (!IsShortage(result)) throw Failed("accept", result);

                // Nothing signals that descriptors are free again, and queued connections raise no new edge: try again.
                _reserve.NoteShortage();
                _reserve.Relax();
                NoteShortage(result.Errno);
                pause = pause == TimeSpan.Zero ? MinPause : pause * 2 < MaxPause ? pause * 2 : MaxPause;
                TimeSpan left = TimeLeft(PollMode.Read);
                await PauseAsync(left < pause ? left : pause, blocking, token).ConfigureAwait(false);
                ready = Check(PollMode.Read);
                if (!ready.IsSuccess) throw Failed("accept", ready);
            }
        }
        finally
        {
            Unlock(PollMode.Read);
        }
    }

    protected override void Destroy()
    {
        base.Destroy();
        _reserve.Release();
    }

    // Waits on the write side, which nothing else of a listener uses: that takes neither a timer nor a thread, and neither may be had now.
    private async ValueTask PauseAsync(TimeSpan pause, bool blocking, CancellationToken token)
    {
        SetDeadline(PollMode.Write, pause);
        _ = blocking ? WaitReady(PollMode.Write) : await WaitReadyAsync(PollMode.Write, token).ConfigureAwait(false);
        SetDeadline(PollMode.Write, span: null);
    }

    private IoResult Accept(out NetFd? accepted)
    {
        accepted = null;
        Span<byte> peer = stackalloc byte[128];
        IoResult result = Api.Accept(Fd, peer, out int length);
        if (!result.IsSuccess) return result;
        _reserve.NoteAccepted(result.Value);
        NetFd conn = new(_network, result.Value, peer[..length]);
        try
        {
            conn.Init(_poller.NextLoop());
        }
        catch (NetpollException e)
        {
            // The poller is full (epoll_ctl(2): max_user_watches). This connection is lost, those that are established are not.
            return e.Error == Errno.ENOSPC ? Errno.ENOMEM : e.Error;
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Closing; // The poller was disposed, and this listener's waits end as by a close.
        }
        accepted = conn;
        return 0;
    }

    private static bool IsShortage(IoResult result) =>
        result == Errno.EMFILE || result == Errno.ENFILE || result == Errno.ENOBUFS || result == Errno.ENOMEM;

    private static string? HintFor(IoResult result) =>
        result == Errno.EADDRINUSE ? "a port that nobody listens on was expected, or 0"
        : result == Errno.EADDRNOTAVAIL ? "an address of this machine was expected"
        : result == Errno.EACCES ? "a port that this user may take was expected, from 1024 up"
        : result == Errno.EMFILE || result == Errno.ENFILE
            ? $"{DescriptorReserve.Size + 1} free descriptors were expected: one to listen, the others in reserve"
        : null;

    private void NoteShortage(Errno errno)
    {
        if (_inShortage) return;
        _inShortage = true;
        _poller.Warn(
            $"accept {Network} {LocalEndPoint}: {errno.Message}. New connections wait; it tries again after 5 ms, and then "
            + "after twice as long each time, up to 1 s.");
    }
}
