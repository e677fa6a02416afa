using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// Descriptors that their owner closes behind the poller's back, and numbers that are used again. The numbers are the process's, so nothing
/// runs beside these.
/// </summary>
[Collection(nameof(Alone))]
public abstract class FileReuseTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int HighNumber = 900;

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_descriptor_that_was_closed_elsewhere_gives_a_clear_error(bool blocking)
    {
        using CapturingLogger log = new(); // The poller reports that it could not take the descriptor out.
        using Fixture fixture = new(log: log);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            Fd closed = read.Duplicate(HighNumber);
            using PolledFile file = fixture.Polled(closed);
            closed.Dispose();
            foreach ((string name, Func<Task> operation) in ((string, Func<Task>)[])
            [
                ("wait to read", () => file.StartWait(blocking).Within()),
                ("wait to write", () => file.StartWait(blocking, PollMode.Write).Within()),
                ("read", () => file.StartRead(blocking, new byte[1]).Within()),
                ("write", () => file.StartWrite(blocking, new byte[1]).Within()),
            ])
            {
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(operation);
                Assert.Equal($"{name} pipe fd {closed.Number}: Bad file descriptor: it was closed elsewhere", e.Message);
            }
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task What_waits_on_a_descriptor_that_is_closed_elsewhere_ends_when_the_system_tells_or_by_a_dispose(bool blocking)
    {
        using CapturingLogger log = new();
        using Fixture fixture = new(log: log);
        (TcpConn Client, TcpConn Server) other = await fixture.PairAsync();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            Fd closed = read.Duplicate(HighNumber);
            using PolledFile file = fixture.Polled(closed);
            Operation<bool> wait = file.StartWait(blocking).Waiting();
            closed.Dispose();
            await Tests.Fixture.PassAsync(other); // The loop has polled since.
            if (fixture.Poller.Backend == "posix")
            {
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(wait.Within);
                Assert.Equal($"wait to read pipe fd {closed.Number}: Bad file descriptor: it was closed elsewhere", e.Message);
            }
            else
            {
                Assert.False(wait.Task.IsCompleted);
                file.Dispose();
                Assert.True((await Assert.ThrowsAsync<NetOpException>(wait.Within)).IsClosed);
            }
        }
    }

    [Fact]
    public async Task The_next_owner_of_a_number_gets_its_events_and_keeps_its_registration()
    {
        using CapturingLogger log = new();
        using Fixture fixture = new(log: log);
        (Fd firstRead, Fd firstWrite) = Fd.Pipe();
        (Fd nextRead, Fd nextWrite) = Fd.Pipe();
        using (firstRead)
        using (firstWrite)
        using (nextRead)
        using (nextWrite)
        {
            Fd closed = firstRead.Duplicate(HighNumber);
            PolledFile old = fixture.Polled(closed);
            closed.Dispose();
            firstRead.Dispose();
            using Fd reused = nextRead.Duplicate(HighNumber);
            Assert.Equal(closed.Number, reused.Number);
            if (fixture.Poller.Backend == "posix")
            {
                // It goes by the numbers alone.
                NetOpException e = Assert.Throws<NetOpException>(() => fixture.Polled(reused));
                Assert.Contains("already in the poller", e.Message, StringComparison.Ordinal);
                await old.DisposeAsync().AsTask().Within();
            }
            using PolledFile file = fixture.Polled(reused);
            ValueTask<int> reading = file.ReadAsync(new byte[8]);
            Assert.False(reading.IsCompleted);
            await old.DisposeAsync().AsTask().Within();
            for (int i = 1; i <= 3; i++)
            {
                Assert.Equal(i, nextWrite.Write(i));
                Assert.Equal(i, await reading.Within());
                reading = file.ReadAsync(new byte[8]);
                Assert.False(reading.IsCompleted);
            }
            file.Dispose();
            Assert.True((await Assert.ThrowsAsync<NetOpException>(() => reading.Within())).IsClosed);
        }
    }

    [Theory]
    [InlineData(false, 1, false)]
    [InlineData(false, 2, true)]
    [InlineData(true, 1, true)]
    [InlineData(true, 2, false)]
    public async Task The_end_of_a_file_leaves_the_next_owner_of_its_number_non_blocking(bool counters, int loops, bool detaches)
    {
        using CapturingLogger log = new();
        using Fixture fixture = new(loops: loops, log: log);
        if (counters && !fixture.Poller.Backend.StartsWith("epoll", StringComparison.Ordinal)) return; // Eventfds look the same.
        PolledFileOptions always = new() { NonBlocking = NonBlockingMode.Always };
        (Fd first, Fd other) = counters ? (Fd.EventFd(), Fd.EventFd()) : Fd.Pipe();
        (Fd next, Fd nextOther) = counters ? (Fd.EventFd(), Fd.EventFd()) : Fd.Pipe();
        using (first)
        using (other)
        using (next)
        using (nextOther)
        {
            Fd closed = first.Duplicate(HighNumber);
            Assert.Equal(0, UnixFileApi.SetNonBlocking(closed, false).Value);
            PolledFile old = fixture.Polled(closed, always);
            Assert.True(closed.IsNonBlocking);
            closed.Dispose();
            first.Dispose();
            using Fd reused = next.Duplicate(HighNumber); // Its owner has made it non-blocking.
            Assert.Equal(closed.Number, reused.Number);
            if (detaches) using (await old.DetachAsync().Within()) { }
            else await old.DisposeAsync().AsTask().Within();
            Assert.True(reused.IsNonBlocking);
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task An_operation_on_a_number_that_is_another_files_now_is_refused(bool blocking)
    {
        using CapturingLogger log = new();
        using Fixture fixture = new(log: log);
        (Fd firstRead, Fd firstWrite) = Fd.Pipe();
        (Fd near, Fd far) = Fd.SocketPair();
        using (firstRead)
        using (firstWrite)
        using (near)
        using (far)
        {
            Fd closed = firstRead.Duplicate(HighNumber);
            using PolledFile file = fixture.Polled(closed);
            closed.Dispose();
            firstRead.Dispose();
            using Fd reused = near.Duplicate(HighNumber);
            Assert.Equal(closed.Number, reused.Number);
            Assert.Equal(3, far.Write(3));
            foreach ((string name, Func<Task> operation) in ((string, Func<Task>)[])
            [
                ("wait to read", () => file.StartWait(blocking).Within()),
                ("wait to write", () => file.StartWait(blocking, PollMode.Write).Within()),
                ("read", () => file.StartRead(blocking, new byte[1]).Within()),
                ("read", () => file.StartCall(blocking, new byte[1]).Within()),
                ("write", () => file.StartWrite(blocking, new byte[1]).Within()),
            ])
            {
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(operation);
                Assert.Equal($"{name} pipe fd {closed.Number}: Bad file descriptor: it was closed elsewhere", e.Message);
            }
            Assert.Equal(3, reused.Read()); // Nothing was taken, and nothing written.
            Assert.Equal(-Errno.EAGAIN.Number, far.Read());
        }
    }

    [Fact]
    public async Task A_read_that_waits_takes_nothing_from_the_next_owner_of_its_number()
    {
        using CapturingLogger log = new();
        using Fixture fixture = new(log: log);
        (Fd firstRead, Fd firstWrite) = Fd.Pipe();
        (Fd nextRead, Fd nextWrite) = Fd.Pipe();
        (Fd otherRead, Fd otherWrite) = Fd.Pipe();
        using (firstRead)
        using (firstWrite)
        using (nextRead)
        using (nextWrite)
        using (otherRead)
        using (otherWrite)
        {
            Fd closed = firstRead.Duplicate(HighNumber);
            PolledFile old = fixture.Polled(closed);
            Task<int> reading = old.ReadAsync(new byte[8]).AsTask();
            Assert.False(reading.IsCompleted);
            closed.Dispose();
            firstRead.Dispose();
            using Fd reused = nextRead.Duplicate(HighNumber);
            Assert.Equal(closed.Number, reused.Number);
            Assert.Equal(1, nextWrite.Write(1));

            // The loop polls anew, and posix, which polls the numbers, finds the old file's number readable.
            using PolledFile other = fixture.Polled(otherRead);
            for (int i = 0; i < 3; i++)
            {
                ValueTask<int> passing = other.ReadAsync(new byte[8]);
                otherWrite.Write(1);
                Assert.Equal(1, await passing.Within());
                await Task.Yield();
            }
            await old.DisposeAsync().AsTask().Within();
            await Assert.ThrowsAsync<NetOpException>(() => reading.Within());
            Assert.Equal(1, reused.Read());
        }
    }

    [Fact]
    public async Task A_read_that_was_ready_before_a_dispose_leaves_the_number_alone_after_it()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (Fd firstRead, Fd firstWrite) = Fd.Pipe();
        (Fd secondRead, Fd secondWrite) = Fd.Pipe();
        (Fd thirdRead, Fd thirdWrite) = Fd.Pipe();
        using (firstRead)
        using (firstWrite)
        using (secondRead)
        using (secondWrite)
        using (thirdRead)
        using (thirdWrite)
        {
            PolledFile first = fixture.Polled(firstRead);
            PolledFile second = fixture.Polled(secondRead);
            using PolledFile third = fixture.Polled(thirdRead);
            Task<bool> one = ReadAndDisposeAsync(first, second);
            Task<bool> two = ReadAndDisposeAsync(second, first);
            Task writing = WriteBothOnTheLoopAsync();
            Assert.Equal(1, thirdWrite.Write(1));
            await writing.Within();
            bool[] read = await Task.WhenAll(one, two).Within();
            Assert.Single(read, true); // Whichever the loop ran first has disposed the other.
            Assert.Equal(1, (read[0] ? secondRead : firstRead).Read());

            // The next poll finds both ready at once.
            async Task WriteBothOnTheLoopAsync()
            {
                Assert.Equal(1, await third.ReadAsync(new byte[8]).ConfigureAwait(false));
                Assert.Equal(1, firstWrite.Write(1));
                Assert.Equal(1, secondWrite.Write(1));
            }
        }

        static async Task<bool> ReadAndDisposeAsync(PolledFile file, PolledFile other)
        {
            try
            {
                Assert.Equal(1, await file.ReadAsync(new byte[8]).ConfigureAwait(false));
                other.Dispose();
                return true;
            }
            catch (NetOpException e) when (e.IsClosed)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task Opens_and_closes_beside_readers_leak_nothing_and_wake_nobody_else()
    {
        const int Workers = 4;
        const int Each = 500; // The kit does it 50,000 times.
        using Fixture fixture = new(loops: 2);
        _ = await fixture.PairAsync(); // The loops and all that is made on first use are there.

        // Readers that stay: each gets its own bytes in their order, and no read ends without one.
        (Fd Read, Fd Write)[] pipes = [.. Enumerable.Range(0, 8).Select(static _ => Fd.Pipe())];
        PolledFile[] readers = [.. pipes.Select(pipe => fixture.Polled(pipe.Read))];
        int before = CountDescriptors();
        bool done = false;
        Task[] reading = [.. readers.Select(static file => Task.Run(() => ReadInOrderAsync(file)))];
        Task writing = Operation.OnOwnThread(() =>
        {
            for (byte value = 0; !Volatile.Read(ref done); value++)
            {
                foreach ((_, Fd write) in pipes)
                {
                    while (Fd.Write(write, [value]) < 0 && !Volatile.Read(ref done)) Thread.Yield();
                }
            }
        });

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(id => Task.Run(() => ChurnAsync(fixture.Poller, id, Each))));
        Volatile.Write(ref done, true);
        await writing.Within();
        Assert.InRange(CountDescriptors(), 0, before + 20); // .NET may have opened some meanwhile, but not one in each round.
        foreach ((_, Fd write) in pipes) write.Dispose();
        await Task.WhenAll(reading).Within(); // Each has read to its end.
        foreach (PolledFile file in readers) await file.DisposeAsync();
        foreach ((Fd read, _) in pipes) read.Dispose();
        int descs = fixture.Poller.Loops.Sum(static loop => loop.Cache.Snapshot().Length);
        Assert.InRange(descs, 1, 100); // Recycled: as many as were open at once.

        static async Task ReadInOrderAsync(PolledFile file)
        {
            byte[] buffer = new byte[64];
            byte next = 0;
            while (await file.ReadAsync(buffer).ConfigureAwait(false) is var n && n > 0)
            {
                foreach (byte value in buffer.AsSpan(0, n).ToArray()) Assert.Equal(next++, value);
            }
        }

        static async Task ChurnAsync(Netpoller poller, int id, int count)
        {
            for (int i = 0; i < count; i++)
            {
                (Fd read, Fd write) = ((i + id) % 3) switch
                {
                    0 => Fd.Pipe(),
                    1 => Fd.SocketPair(),
                    _ => (Fd.EventFd(), Fd.EventFd()),
                };
                using (write)
                {
                    PolledFile file = new(poller, read.Release(), ownsHandle: true);
                    Task<int> reading = file.ReadAsync(new byte[8]).AsTask();
                    Assert.False(reading.IsCompleted, "a file that nobody has written to was ready.");
                    bool isRead = i % 4 == 0 && (i + id) % 3 != 2;
                    if (isRead)
                    {
                        Assert.Equal(3, write.Write(3));
                        Assert.Equal(3, await reading.ConfigureAwait(false));
                    }
                    if (i % 2 == 0) file.Dispose();
                    await file.DisposeAsync().ConfigureAwait(false);
                    if (isRead) continue;
                    NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => reading).ConfigureAwait(false);
                    Assert.True(e.IsClosed, e.Message);
                }
            }
        }
    }

    [Fact]
    public void A_file_that_was_dropped_is_closed_by_its_finalizer_if_it_owns_its_descriptor()
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        (Fd borrowed, Fd other) = Fd.Pipe();
        using (write)
        using (borrowed)
        using (other)
        {
            Drop(fixture.Poller, read.Release(), borrowed.Number);
            Assert.True(SpinWait.SpinUntil(() => IsClosed(write), Tests.Fixture.Patience), "a file that was dropped was still open.");
            Assert.Equal(1, other.Write());
            Assert.Equal(1, borrowed.Read());
            using PolledFile again = fixture.Polled(borrowed); // It has left the poller.
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Drop(Netpoller poller, int owned, int borrowed)
        {
            _ = new PolledFile(poller, owned, ownsHandle: true);
            _ = new PolledFile(poller, borrowed, ownsHandle: false);
        }

        static bool IsClosed(Fd write)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return write.Write() == -Errno.EPIPE.Number;
        }
    }

    private static int CountDescriptors() => Directory.GetFiles("/proc/self/fd").Length;
}
