using System.Runtime.InteropServices;
using Poller.Abstractions;
using static Poller.Kqueue.KqueuePlatform;

namespace Poller.Kqueue.Tests;

/// <summary>The real interop, called as C calls it: behind its function pointers stands the emulator.</summary>
[Trait("Kernel", "emulated")]
public sealed unsafe class KqueueApiTests
{
    private static readonly EmulatedKernel Kernel = new(Linux);

    private readonly KqueueApi _api = new(
        Linux,
        (nint)(delegate* unmanaged<int>)&NewKqueue,
        (nint)(delegate* unmanaged<int, void*, nint, void*, nint, long*, int>)&NewKevent,
        fstat: 0);

    [Fact]
    public void The_poller_works_over_it()
    {
        using KqueueNetpoll poller = new(_api);
        poller.Init();
        (Fd near, Fd far) = Fd.SocketPair();
        using (near)
        using (far)
        {
            PollEvent[] events = new PollEvent[4];
            Assert.Equal(Errno.None, poller.Open(near, new PollToken(1)));
            Assert.Equal(1, poller.Poll(events, -1));
            Worker thread = Worker.Start(() => Assert.Equal(1, poller.Poll(events, -1)));
            thread.AwaitSleep();
            far.Write();
            thread.Join();
            Assert.Equal(new PollEvent(new PollToken(1), PollReadiness.Readable | PollReadiness.ReadHangup), events[0]); // As on libkqueue.

            poller.Break();
            Assert.Equal(0, poller.Poll(events, -1));
            Assert.Equal(0, poller.Poll(events, 1_000_001));
            Assert.Equal(Errno.None, poller.Close(near));
        }
    }

    [Fact]
    public void A_kqueue_is_not_inherited()
    {
        const int CloseOnExec = 0x80000;
        int kq = _api.Kqueue();

        string flags = File.ReadLines($"/proc/self/fdinfo/{kq}").Single(line => line.StartsWith("flags:", StringComparison.Ordinal));

        Assert.NotEqual(0, Convert.ToInt32(flags[6..].Trim(), 8) & CloseOnExec);
        Assert.True(_api.Close(kq) >= 0);
    }

    [Fact]
    public void An_error_is_the_errno_below_zero()
    {
        Assert.Equal(-Errno.EBADF.Number, _api.Kevent(-7, default, new byte[Linux.EventSize], 0));
        Assert.Equal(-Errno.EBADF.Number, _api.Mode(-1, out uint mode));
        Assert.Equal(0u, mode);
        Assert.Equal(-Errno.EBADF.Number, _api.Close(-1));
    }

    [Fact]
    public void The_mode_tells_what_a_descriptor_is()
    {
        const uint Socket = 0xc000, Pipe = 0x1000;
        using FileStream file = File.OpenRead(typeof(KqueueApiTests).Assembly.Location);
        (Fd near, Fd far) = Fd.SocketPair();
        Assert.Equal(0, _api.Pipe(out int read, out int write));
        using (near)
        using (far)
        {
            int[] fds = [(int)file.SafeFileHandle.DangerousGetHandle(), near.Number, read, write];
            Assert.Equal([S_IFREG, Socket, Pipe, Pipe], fds.Select(TypeOf));
        }
        _api.Close(read);
        _api.Close(write);

        uint TypeOf(int fd)
        {
            Assert.Equal(0, _api.Mode(fd, out uint mode));
            return mode & S_IFMT;
        }
    }

    /// <summary>musl 1.2.3 has no symbol for it.</summary>
    [Theory]
    [InlineData(Architecture.X64, 332)]
    [InlineData(Architecture.Arm64, 291)]
    [InlineData(Architecture.RiscV64, 291)]
    [InlineData(Architecture.LoongArch64, 291)]
    [InlineData(Architecture.S390x, 379)]
    [InlineData(Architecture.Ppc64le, 383)]
    public void On_Linux_statx_is_called_by_its_number(Architecture architecture, int number)
    {
        Assert.Equal(number, LibC.NumberOfStatx(architecture));
        Assert.Null(Linux.Fstat);
    }

    [Fact]
    public void A_pipe_carries_bytes_and_blocks_nobody()
    {
        Assert.Equal(0, _api.Pipe(out int read, out int write));
        byte[] bytes = new byte[4];
        Assert.Equal(-Errno.EAGAIN.Number, _api.Read(read, bytes));
        Assert.Equal(2, _api.Write(write, [7, 8]));
        Assert.Equal(2, _api.Read(read, bytes));
        Assert.Equal<byte>([7, 8, 0, 0], bytes);
        int result;
        while ((result = _api.Write(write, new byte[4096])) > 0) { }
        Assert.Equal(-Errno.EAGAIN.Number, result);
        Assert.Equal(0, _api.Close(read));
        Assert.Equal(0, _api.Close(write));
    }

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(1, 0, 1)]
    [InlineData(1_999_999_999, 1, 999_999_999)]
    [InlineData(999_999_999_999_999, 999_999, 999_999_999)]
    [InlineData(1_000_000_000_000_001, 1_000_000, 0)]
    [InlineData(long.MaxValue, 1_000_000, 0)]
    [InlineData(-1, -1, -1)]
    [InlineData(long.MinValue, -1, -1)]
    public void A_time_out_is_a_timespec_that_no_kernel_finds_too_long(long timeout, long seconds, long nanoseconds)
    {
        KqueueApi api = new(Linux, 0, (nint)(delegate* unmanaged<int, void*, nint, void*, nint, long*, int>)&TellTimeout, 0);
        long[] told = new long[2 * Linux.EventSize / sizeof(long)];

        Assert.Equal(2, api.Kevent(1, default, MemoryMarshal.AsBytes(told.AsSpan()), timeout));

        Assert.Equal((seconds, nanoseconds), (told[0], told[1]));
    }

    [UnmanagedCallersOnly]
    private static int NewKqueue() => Tell(Kernel.Kqueue());

    [UnmanagedCallersOnly]
    private static int NewKevent(int kq, void* changes, nint changeCount, void* events, nint room, long* timeout) => Tell(Kernel.Kevent(
        kq,
        new ReadOnlySpan<byte>(changes, (int)changeCount * Linux.EventSize),
        new Span<byte>(events, (int)room * Linux.EventSize),
        timeout is null ? -1 : timeout[0] * 1_000_000_000 + timeout[1]));

    [UnmanagedCallersOnly]
    private static int TellTimeout(int kq, void* changes, nint changeCount, void* events, nint room, long* timeout)
    {
        (((long*)events)[0], ((long*)events)[1]) = timeout is null ? (-1, -1) : (timeout[0], timeout[1]);
        return (int)room;
    }

    // As a C function tells an error.
    private static int Tell(int result)
    {
        if (result >= 0) return result;
        Marshal.SetLastSystemError(-result);
        return -1;
    }
}
