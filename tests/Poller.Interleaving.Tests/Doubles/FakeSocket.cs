using System.Net.Sockets;
using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>
/// The system calls for one connected socket. Its last bytes are not acknowledged yet. It checks that the socket is closed once, after it
/// has left the poller, and is not used later.
/// </summary>
internal sealed class FakeSocket(FakeNetpoll poll) : ISocketApi
{
    private bool _isAcknowledged;
    private bool _peerHasEnded;
    private int _linger;

    public const nint Fd = 3;

    public bool IsClosed { get; private set; }

    /// <summary>Whether the close dropped what was not acknowledged.</summary>
    public bool WasReset { get; private set; }

    public long MaxDescriptors => throw Unexpected();

    public int MaxBacklog => throw Unexpected();

    /// <summary>The peer acknowledges all bytes, which raises no event.</summary>
    public void Acknowledge()
    {
        Step("Acknowledge");
        _isAcknowledged = true;
    }

    /// <summary>The peer acknowledges all bytes and ends.</summary>
    public void End()
    {
        Acknowledge();
        Step("End");
        _peerHasEnded = true;
        poll.Deliver(Fd, PollReadiness.Readable | PollReadiness.ReadHangup);
    }

    public IoResult Shutdown(nint fd, SocketShutdown how) => Use("shutdown");

    public IoResult Unsent(nint fd)
    {
        Step("Unsent");
        Use("unsent");
        return _isAcknowledged ? 0 : 1;
    }

    public IoResult Receive(nint fd, Span<byte> buffer)
    {
        Step("Receive");
        Use("recv");
        return _peerHasEnded ? 0 : Errno.EAGAIN;
    }

    public IoResult PeerName(nint fd, Span<byte> address, out int addressLength)
    {
        addressLength = 0;
        return Use("getpeername");
    }

    public IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value)
    {
        _linger = value;
        return Use("setsockopt");
    }

    public IoResult Close(nint fd)
    {
        Use("close");
        Invariant.Holds(!poll.IsRegistered(fd), "a descriptor was closed before it left the poller.");
        IsClosed = true;
        WasReset = _linger == 0 && !_isAcknowledged;
        return 0;
    }

    public IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol) => throw Unexpected();

    public IoResult Bind(nint fd, ReadOnlySpan<byte> address) => throw Unexpected();

    public IoResult Listen(nint fd, int backlog) => throw Unexpected();

    public IoResult Accept(nint fd, Span<byte> address, out int addressLength) => throw Unexpected();

    public IoResult Connect(nint fd, ReadOnlySpan<byte> address) => throw Unexpected();

    public IoResult Peek(nint fd, Span<byte> buffer) => throw Unexpected();

    public IoResult Send(nint fd, ReadOnlySpan<byte> buffer) => throw Unexpected();

    public IoResult GetOption(nint fd, SocketOptionLevel level, SocketOptionName name, out int value) => throw Unexpected();

    public IoResult GetRawOption(nint fd, int level, int name, Span<byte> value) => throw Unexpected();

    public IoResult SetRawOption(nint fd, int level, int name, ReadOnlySpan<byte> value) => throw Unexpected();

    public IoResult LocalName(nint fd, Span<byte> address, out int addressLength) => throw Unexpected();

    public IoResult TakeError(nint fd) => throw Unexpected();

    private IoResult Use(string call)
    {
        Invariant.Holds(!IsClosed, $"{call} came after the close.");
        return 0;
    }

    private static void Step(string name) => ControlledThread.Step(new Site(name, "socket", "", 0))?.Fence();

    private static InvariantException Unexpected() => new("a close that lingers made a system call that it has no use for.");
}
