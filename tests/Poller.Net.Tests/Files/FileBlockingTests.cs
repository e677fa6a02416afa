using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>O_NONBLOCK, and what cannot be polled.</summary>
public abstract class FileBlockingTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory]
    [InlineData(NonBlockingMode.IfOwned, false, false)]
    [InlineData(NonBlockingMode.IfOwned, true, true)]
    [InlineData(NonBlockingMode.Always, false, true)]
    [InlineData(NonBlockingMode.Always, true, true)]
    [InlineData(NonBlockingMode.Never, false, false)]
    [InlineData(NonBlockingMode.Never, true, false)]
    public async Task The_options_say_who_sets_O_NONBLOCK_and_it_is_put_back(NonBlockingMode mode, bool owns, bool sets)
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe(blocking: true);
        using Fd shared = read.Duplicate(); // The same description, as a child process would have.
        using (write)
        {
            PolledFile file = new(fixture.Poller, read.Release(), owns, new PolledFileOptions { NonBlocking = mode });
            Assert.Equal(sets, shared.IsNonBlocking);
            ValueTask<int> reading = file.ReadAsync(new byte[1]);
            Assert.Equal(1, write.Write());
            Assert.Equal(1, await reading.Within());

            using SafeFileHandle handle = Assert.IsType<SafeFileHandle>(file.Detach());
            Assert.False(shared.IsNonBlocking);
            Assert.Equal(read.Number, handle.DangerousGetHandle());
            if (owns) return;

            file = new(fixture.Poller, read.Number, owns, new PolledFileOptions { NonBlocking = mode });
            Assert.Equal(sets, shared.IsNonBlocking);
            await file.DisposeAsync().AsTask().Within();
            Assert.False(shared.IsNonBlocking);
            new Fd(read.Number).Dispose(); // It is still open.
        }
    }

    [Fact]
    public async Task A_descriptor_that_did_not_block_before_does_not_block_afterwards()
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            PolledFile file = fixture.Polled(read, new PolledFileOptions { NonBlocking = NonBlockingMode.Always });
            (await file.DetachAsync().Within()).Dispose();
            Assert.True(read.IsNonBlocking);
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_read_of_a_descriptor_that_is_left_blocking_never_blocks_its_loop(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe(blocking: true);
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            (TcpConn, TcpConn) other = await fixture.PairAsync();
            byte[] buffer = new byte[8];
            for (int i = 1; i <= 5; i++)
            {
                ValueTask<int> reading = i % 2 == 0 ? file.ReadAsync(buffer) : file.ReadAsync(buffer, Files.ReadCall);
                Assert.False(reading.IsCompleted);
                await Tests.Fixture.PassAsync(other);
                Assert.Equal(i, Fd.Write(write, new byte[i]));
                Assert.Equal(i, await reading.Within());
            }
            Assert.False(read.IsNonBlocking);
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_write_to_a_descriptor_that_is_left_blocking_never_blocks_its_loop(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe(blocking: true);
        using (read)
        using (write)
        using (PolledFile reader = fixture.Polled(read))
        using (PolledFile writer = fixture.Polled(write))
        {
            (TcpConn, TcpConn) other = await fixture.PairAsync();
            byte[] sent = new byte[300_001];
            new Random(3).NextBytes(sent);
            ValueTask writing = writer.WriteAsync(sent);
            Assert.False(writing.IsCompleted);
            byte[] got = new byte[sent.Length];
            for (int at = 0; at < got.Length;)
            {
                await Tests.Fixture.PassAsync(other);
                at += await reader.ReadAsync(got.AsMemory(at)).Within();
            }
            await writing.Within();
            Assert.True(sent.AsSpan().SequenceEqual(got));
            Assert.False(write.IsNonBlocking);
        }
    }

    [Theory]
    [InlineData("regular file")]
    [InlineData("directory")]
    public void What_cannot_be_polled_is_refused_by_its_name_and_stays_the_callers(string kind)
    {
        using Fixture fixture = new();
        string path = kind == "directory" ? Path.GetTempPath() : typeof(FileBlockingTests<TBackend>).Assembly.Location;
        using Fd fd = Fd.Open(path, Fd.ReadOnly);
        foreach (bool owns in (bool[])[false, true])
        {
            NetOpException e = Assert.Throws<NetOpException>(() => new PolledFile(fixture.Poller, fd.Number, owns));
            Assert.StartsWith($"open {kind} fd {fd.Number}: ", e.Message, StringComparison.Ordinal);
            const string Expected = "it cannot be polled; a pipe, a socket, a terminal or the like was expected, or UnpollableIsReady";
            Assert.EndsWith(Expected, e.Message, StringComparison.Ordinal);
            Assert.Equal(Errno.EPERM, Assert.IsType<NetpollException>(e.InnerException).Error);
        }
        using SafeFileHandle handle = new(fd.Duplicate().Release(), ownsHandle: true);
        Assert.Throws<NetOpException>(() => new PolledFile(fixture.Poller, handle));
        Assert.False(handle.IsClosed);
        Assert.False(fd.IsNonBlocking);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task What_cannot_be_polled_is_always_ready_if_the_options_say_so(bool blocking)
    {
        using Fixture fixture = new();
        string path = Path.GetTempFileName();
        try
        {
            using Fd fd = Fd.Open(path, Fd.ReadWrite);
            using PolledFile file = fixture.Polled(fd, new PolledFileOptions { UnpollableIsReady = true });
            Assert.Equal($"regular file fd {fd.Number}", file.ToString());
            await file.StartWait(blocking).Within();
            await file.StartWait(blocking, PollMode.Write).Within();
            await file.StartWrite(blocking, "some text"u8.ToArray()).Within();
            Assert.Equal("some text", await File.ReadAllTextAsync(path));
            Assert.Equal(0, await file.StartRead(blocking, new byte[8]).Within());

            InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(
                () => file.ReadAsync(0, static (_, _) => (TryResult<int>)TryResult.WouldBlock).Within());
            Assert.StartsWith($"read regular file fd {fd.Number}: ", e.Message, StringComparison.Ordinal);
            file.SetDeadline(TimeSpan.Zero);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(file.StartRead(blocking, new byte[8]).Within)).IsTimeout);
            await file.DisposeAsync().AsTask().Within();
            await Assert.ThrowsAsync<ObjectDisposedException>(file.StartRead(blocking, new byte[8]).Within);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task A_device_that_the_backend_cannot_poll_is_told_by_what_it_is()
    {
        using Fixture fixture = new();
        using Fd zero = Fd.Open("/dev/zero", Fd.ReadWrite);
        PolledFileOptions ready = new() { UnpollableIsReady = true };
        if (fixture.Poller.Backend.StartsWith("epoll", StringComparison.Ordinal)) // The others call it always ready.
        {
            NetOpException e = Assert.Throws<NetOpException>(() => fixture.Polled(zero));
            Assert.StartsWith($"open character device fd {zero.Number}: ", e.Message, StringComparison.Ordinal);
        }
        using PolledFile file = fixture.Polled(zero, ready);
        Assert.Equal(16, await file.ReadAsync(new byte[16]).Within());
        await file.WriteAsync(new byte[16]).Within();
        await file.WaitReadableAsync().Within();
    }

    [Fact]
    public void What_is_no_descriptor_and_what_is_no_option_is_refused()
    {
        using Fixture fixture = new();
        foreach (nint number in (nint[])[-1, int.MaxValue, nint.MaxValue])
        {
            NetOpException e = Assert.Throws<NetOpException>(() => new PolledFile(fixture.Poller, number, ownsHandle: true));
            Assert.Equal($"open fd {number}: Bad file descriptor: an open descriptor was expected", e.Message);
        }
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            PolledFileOptions odd = new() { NonBlocking = (NonBlockingMode)7 };
            Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Polled(read, odd));
            Assert.Throws<ArgumentNullException>(() => new PolledFile(null!, read.Number, ownsHandle: true));
            Assert.Throws<ArgumentNullException>(() => new PolledFile(fixture.Poller, null!));
            using PolledFile file = fixture.Polled(read);
            Assert.Throws<ArgumentNullException>(() => file.TryRead(0, (Func<nint, int, TryResult<int>>)null!, out _));
            NetOpException twice = Assert.Throws<NetOpException>(() => fixture.Polled(read));
            Assert.Contains("already in the poller", twice.Message, StringComparison.Ordinal);
            Assert.Equal(1, write.Write());
            Assert.Equal(1, file.Read(new byte[8]));
        }
    }
}
