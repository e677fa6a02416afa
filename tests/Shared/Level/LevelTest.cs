using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>The same over a level-triggered backend, which is armed.</summary>
public abstract unsafe partial class LevelTest(INetpollFactory backend) : PollerTest<INetpoll>(backend.Create())
{
    /// <summary>A pair of Unix sockets, the first of which is in the poller under a token.</summary>
    private protected (Fd Near, Fd Far) OpenPair(ulong token)
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Open(near, token);
        return (near, far);
    }

    private protected void Open(nint fd, ulong token) => Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));

    private protected void Arm(nint fd, PollMode mode) => Assert.Equal(Errno.None, Poller.Arm(fd, mode));

    private protected void Close(nint fd) => Assert.Equal(Errno.None, Poller.Close(fd));

    /// <summary>Holds that a poll finds nothing and sleeps its time out: neither an event nor a return before it is due.</summary>
    private protected void AssertQuiet()
    {
        const long Delay = 20 * Millisecond;
        Worker.RunUninterrupted(() => Assert.InRange(Time(() => Assert.Empty(Poll(Delay))).TotalNanoseconds, Delay, double.MaxValue));
    }

    /// <summary>Which directions the system itself calls ready: what the poller is held to.</summary>
    private protected static PollMode Ready(int fd)
    {
        const short In = 1, Out = 4, Both = 8 | 16;
        Pollfd one = new() { Fd = fd, Events = In | Out };
        int result;
        do result = poll(&one, 1, 0);
        while (result < 0 && Marshal.GetLastPInvokeError() == Errno.EINTR.Number);
        Assert.True(result >= 0, $"poll: {Marshal.GetLastPInvokeErrorMessage()}");
        return ((one.Revents & (In | Both)) != 0 ? PollMode.Read : 0) | ((one.Revents & (Out | Both)) != 0 ? PollMode.Write : 0);
    }

    private protected static PollMode ModeOf(PollReadiness readiness) =>
        (readiness.HasFlag(PollReadiness.Readable) ? PollMode.Read : 0) | (readiness.HasFlag(PollReadiness.Writable) ? PollMode.Write : 0);

    private struct Pollfd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(Pollfd* fds, nuint count, int timeout);
}
