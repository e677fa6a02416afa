using Poller.Abstractions;
using Poller.Net;

namespace Poller.Conformance;

// What holds for every PolledFile, whatever its backend and dispatch are.

/// <summary>
/// The facts that hold for every <see cref="PolledFile"/>. They test a backend with descriptors that are no sockets, and with native
/// libraries that read by themselves. Inherit it in a test project, pass a poller over the backend, and run the tests.
/// </summary>
/// <remarks>
/// <code>
/// using Poller.Conformance;
/// using Poller.Net;
///
/// public sealed class MyFileTests() : PolledFileConformance(new Netpoller(new MyFactory()))
/// {
///     protected override void Dispose(bool disposing)
///     {
///         base.Dispose(disposing);
///         if (disposing) Poller.Dispose();
///     }
/// }
/// </code>
/// <para>
/// The facts run on Unix, with the async operations and with the blocking ones. Those of an eventfd run on Linux. The poller must use the
/// system's clock.
/// </para>
/// </remarks>
public abstract class PolledFileConformance : IDisposable
{
    private static readonly Func<nint, byte[], TryResult<int>> ReadCall = static (fd, buffer) =>
        Fd.Read(fd, buffer) is var n && n == -Errno.EAGAIN.Number ? TryResult.WouldBlock
        : n >= 0 ? TryResult.Done(n)
        : throw new NetpollException("read", new Errno(-n));

    private readonly List<PolledFile> _files = [];
    private readonly List<Fd> _descriptors = [];

    /// <summary>Creates one test.</summary>
    /// <param name="poller">The poller, which you own; dispose it after the test.</param>
    protected PolledFileConformance(Netpoller poller)
    {
        ArgumentNullException.ThrowIfNull(poller);
        Poller = poller;
    }

    /// <summary>The poller that was passed to the constructor.</summary>
    protected Netpoller Poller { get; }

    /// <summary>How many descriptors are opened and closed beside readers. The default takes about a second.</summary>
    protected virtual int Reopenings => 2_000;

    /// <summary>How many sequences to check if the environment does not say. The default takes about half a second.</summary>
    protected virtual int Sequences => 60;

    /// <summary>How long a fact waits for what must happen. Only one that fails waits so long.</summary>
    protected virtual TimeSpan Patience => Worker.Bound;

    /// <summary>
    /// After any sequence of reads, writes and waits on both ends of a pipe, blocking or async, beside a library which reads and writes by
    /// itself, each byte has arrived once and in order, and each operation has ended as it must. POLLER_SEED and
    /// POLLER_CONFORMANCE_SEQUENCES replay a failure.
    /// </summary>
    [Fact]
    public void Any_sequence_of_operations_follows_the_model()
    {
        SequenceCheck<FileCommand, FileHarness> check = new(
            "The poller broke the contract of PolledFile",
            FileCommand.Sequences,
            FileCommand.MaxLength,
            Patience,
            shrinkFor: Patience * 3,
            brief => new FileHarness(Poller, brief),
            static _ => { });
        check.Run(Sequences);
    }

    /// <summary>
    /// A library takes one record of two, of which the poller told once, and waits again: the wait-only form is level-triggered.
    /// </summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_library_that_takes_one_record_of_two_is_woken_for_the_other(bool blocking)
    {
        foreach ((PolledFile file, Fd near, Fd far) in Ends())
        {
            for (int i = 0; i < 3; i++)
            {
                NetOperation<bool> waiting = StartWait(file, blocking).Waiting();
                Assert.Equal(8, far.Write(8));
                waiting.Result(Patience);
                Assert.Equal(4, near.Read(4));
                StartWait(file, blocking).Result(Patience);
                StartWait(file, blocking).Result(Patience);
                Assert.Equal(4, near.Read(4));
            }
        }
    }

    /// <summary>A function, and a read, that take one record of two get the other one too: the operation form tries first.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void An_operation_that_takes_one_record_of_two_gets_the_other(bool blocking)
    {
        byte[] record = new byte[4];
        foreach ((PolledFile file, _, Fd far) in Ends())
        {
            for (int i = 0; i < 3; i++)
            {
                NetOperation<int> call = StartCall(file, blocking, record).Waiting();
                Assert.Equal(8, far.Write(8));
                Assert.Equal(4, call.Result(Patience));
                Assert.Equal(4, StartCall(file, blocking, record).Result(Patience));

                NetOperation<int> read = StartRead(file, blocking, record).Waiting();
                Assert.Equal(8, far.Write(8));
                Assert.Equal(4, read.Result(Patience));
                Assert.Equal(4, StartRead(file, blocking, record).Result(Patience));
            }
        }
    }

    /// <summary>Readiness of bytes that a library has read meanwhile does not end a wait.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Old_readiness_ends_no_wait(bool blocking)
    {
        foreach ((PolledFile file, Fd near, Fd far) in Ends())
        {
            Assert.Equal(2, far.Write(2));
            StartWait(file, blocking).Result(Patience);
            PassThroughEachLoop(); // It has told of these bytes by now, also where its thread is late.
            Assert.Equal(2, far.Write(2));
            Assert.Equal(4, near.Drain());
            NetOperation<bool> waiting = StartWait(file, blocking).Waiting();
            PassThroughEachLoop();
            Assert.False(waiting.Task.IsCompleted, "a wait ended, and there was nothing to read");
            Assert.Equal(1, far.Write());
            waiting.Result(Patience);
        }
    }

    /// <summary>A wait to write ends at once while there is room, and later when the peer has made some.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_wait_to_write_ends_while_there_is_room(bool blocking)
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        PolledFile file = Polled(write);
        for (int i = 0; i < 3; i++)
        {
            StartWait(file, blocking, PollMode.Write).Result(Patience);
            write.Fill();
            NetOperation<bool> waiting = StartWait(file, blocking, PollMode.Write).Waiting();
            read.Drain();
            waiting.Result(Patience);
        }
        write.Fill();
        NetOperation<bool> last = StartWait(file, blocking, PollMode.Write).Waiting();
        read.Dispose();
        last.Result(Patience); // The error of a pipe that nobody reads is readiness too.
    }

    /// <summary>Bytes that are written are read, more than a pipe holds, and the end comes behind them.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Bytes_come_in_order_and_then_the_end(bool blocking)
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        PolledFile from = Polled(read), to = new(Poller, write.Release(), ownsHandle: true);
        byte[] sent = new byte[1_000_000], received = new byte[sent.Length];
        Random.Shared.NextBytes(sent);
        PassThroughEachLoop(); // The report of the room at the beginning ends no wait.
        NetOperation<bool> writing = NetOperation.Run(blocking, async () =>
        {
            if (blocking) to.Write(sent);
            else await to.WriteAsync(sent);
            await to.DisposeAsync();
        }).Waiting();
        int count = 0;
        while (StartRead(from, blocking, received.AsMemory(count)).Result(Patience) is var n and > 0) count += n;
        Assert.Equal(sent.Length, count);
        Assert.True(received.AsSpan().SequenceEqual(sent), "what was read is not what was written");
        writing.Result(Patience);
        Assert.Equal(0, StartRead(from, blocking, new byte[1]).Result(Patience));
        StartWait(from, blocking).Result(Patience);
    }

    /// <summary>
    /// A FIFO's reader that can write too waits for the next writer. One that only reads meets the end between two writers.
    /// </summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Writers_of_a_FIFO_come_and_go(bool blocking)
    {
        string directory = Directory.CreateTempSubdirectory("poller-").FullName;
        try
        {
            string path = Path.Combine(directory, "fifo");
            Fd.MakeFifo(path);
            byte[] buffer = new byte[16];
            using (Fd both = Fd.Open(path, LibC.O_RDWR))
            using (PolledFile file = Polled(both))
            {
                for (int i = 1; i <= 3; i++)
                {
                    NetOperation<int> reading = StartRead(file, blocking, buffer).Waiting();
                    using (Fd writer = Fd.Open(path, LibC.O_WRONLY)) Assert.Equal(i, writer.Write(i));
                    Assert.Equal(i, reading.Result(Patience));
                    NetOperation<bool> waiting = StartWait(file, blocking).Waiting();
                    using (Fd writer = Fd.Open(path, LibC.O_WRONLY)) Assert.Equal(1, writer.Write());
                    waiting.Result(Patience);
                    Assert.Equal(1, both.Read());
                }
            }
            using (Fd read = Fd.Open(path, LibC.O_RDONLY))
            using (PolledFile file = Polled(read))
            {
                for (int i = 1; i <= 3; i++)
                {
                    using (Fd writer = Fd.Open(path, LibC.O_WRONLY))
                    {
                        NetOperation<int> reading = StartRead(file, blocking, buffer).Waiting();
                        Assert.Equal(i, writer.Write(i));
                        Assert.Equal(i, reading.Result(Patience));
                        reading = StartRead(file, blocking, buffer).Waiting();
                        writer.Dispose();
                        Assert.Equal(0, reading.Result(Patience));
                    }
                    Assert.Equal(0, StartRead(file, blocking, buffer).Result(Patience));
                }
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>A terminal gives its lines, by waits and by reads, and then its end: an end, or on Linux the error EIO.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_terminal_gives_its_lines_and_then_its_end(bool blocking)
    {
        const int Eio = 5; // The same on every Unix.
        (Fd master, Fd terminal) = Own(Fd.Terminal());
        PolledFile file = Polled(master);
        byte[] line = new byte[64];
        for (int i = 0; i < 3; i++)
        {
            NetOperation<bool> waiting = StartWait(file, blocking).Waiting();
            Assert.Equal(3, terminal.Write("a b"u8));
            waiting.Result(Patience);
            Assert.Equal(1, master.Read(1));
            StartWait(file, blocking).Result(Patience);
            Assert.Equal(2, StartRead(file, blocking, line).Result(Patience));
        }
        NetOperation<int> reading = StartRead(file, blocking, line).Waiting();
        terminal.Dispose();
        try
        {
            Assert.Equal(0, reading.Result(Patience));
        }
        catch (NetOpException e)
        {
            Assert.Equal(new Errno(Eio), Assert.IsType<NetpollException>(e.InnerException).Error);
        }
    }

    /// <summary>A counter gives what was added since the last read, whoever waits for it and however.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void An_eventfd_gives_its_sum(bool blocking)
    {
        if (!OperatingSystem.IsLinux()) return;
        Fd counter = Own(Fd.EventFd());
        PolledFile file = Polled(counter);
        byte[] sum = new byte[sizeof(ulong)];
        for (ulong i = 1; i <= 3; i++)
        {
            NetOperation<int> reading = StartRead(file, blocking, sum).Waiting();
            Assert.Equal(sum.Length, counter.Write(BitConverter.GetBytes(i)));
            Assert.Equal(sum.Length, reading.Result(Patience));
            Assert.Equal(i, BitConverter.ToUInt64(sum));
            NetOperation<bool> waiting = StartWait(file, blocking).Waiting();
            foreach (ulong one in (ulong[])[i, 10]) Assert.Equal(sum.Length, counter.Write(BitConverter.GetBytes(one)));
            waiting.Result(Patience);
            StartWait(file, blocking).Result(Patience);
            Assert.Equal(sum.Length, StartCall(file, blocking, sum).Result(Patience));
            Assert.Equal(i + 10, BitConverter.ToUInt64(sum));
        }
    }

    /// <summary>A deadline, a token and a dispose end what waits, and a file stays usable after the first two.</summary>
    /// <param name="blocking">True for the blocking operations, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_a_token_and_a_dispose_end_what_waits(bool blocking)
    {
        foreach ((PolledFile file, _, Fd far) in Ends())
        {
            NetOperation<int> reading = StartRead(file, blocking, new byte[8]).Waiting();
            file.SetReadDeadline(TimeSpan.FromMilliseconds(1));
            Assert.True(Fails(reading).IsTimeout);
            file.SetReadDeadline(null);

            using CancellationTokenSource source = new();
            NetOperation<bool> cancelled = new(AsTask(file.WaitReadableAsync(source.Token)));
            source.Cancel();
            Assert.ThrowsAny<OperationCanceledException>(() => { cancelled.Result(Patience); });

            NetOperation<bool> waiting = StartWait(file, blocking).Waiting();
            Assert.Equal(3, far.Write(3));
            waiting.Result(Patience);
            Assert.Equal(3, StartRead(file, blocking, new byte[8]).Result(Patience));

            waiting = StartWait(file, blocking).Waiting();
            file.Dispose();
            Assert.True(Fails(waiting).IsClosed);
        }

        NetOpException Fails<T>(NetOperation<T> operation) => Assert.Throws<NetOpException>(() => { operation.Result(Patience); });
    }

    /// <summary>
    /// Descriptors of all kinds are opened and closed, so their numbers are used again and again, while others read. Those others get their
    /// bytes in order. A new descriptor gets no event of an old one, and what was disposed is closed.
    /// </summary>
    [Fact]
    public void Descriptors_that_are_used_again_get_their_own_events_alone()
    {
        const int Workers = 4, Readers = 8;
        (Fd Read, Fd Write)[] pipes = [.. Enumerable.Range(0, Readers).Select(_ => Own(Fd.Pipe()))];
        bool done = false;
        PolledFile[] readers = [.. pipes.Select(pipe => Polled(pipe.Read))];
        Task[] reading = [.. readers.Select(reader => Task.Run(() => ReadInOrderAsync(reader)))];
        Worker writing = Worker.Start("write to readers", () =>
        {
            for (byte value = 0; !Volatile.Read(ref done); value++)
            {
                foreach ((_, Fd write) in pipes)
                {
                    while (write.Write([value]) < 0 && !Volatile.Read(ref done)) Thread.Yield();
                }
            }
        });
        try
        {
            Task churning = Task.WhenAll(Enumerable.Range(0, Workers).Select(id => Task.Run(() => ChurnAsync(id, Reopenings / Workers))));
            Wait(churning, TimeSpan.FromTicks(Reopenings * TimeSpan.TicksPerMillisecond));
        }
        finally
        {
            Volatile.Write(ref done, true);
            writing.Join();
            foreach ((_, Fd write) in pipes) write.Dispose();
        }
        Wait(Task.WhenAll(reading), TimeSpan.Zero); // Each has read to its end.

        void Wait(Task task, TimeSpan work) => task.WaitAsync(Patience + work).GetAwaiter().GetResult();

        static async Task ReadInOrderAsync(PolledFile file)
        {
            byte[] buffer = new byte[64];
            byte next = 0;
            while (await file.ReadAsync(buffer) is var n and > 0)
            {
                for (int i = 0; i < n; i++) Assert.Equal(next++, buffer[i]);
            }
        }
    }

    /// <summary>Disposes the test's files and descriptors.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Disposes the test's files and descriptors. An override disposes more, such as the poller, after it has called this.
    /// </summary>
    /// <param name="disposing">Always true, because there is no finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;

        // A file leaves the poller before its descriptor is closed.
        foreach (PolledFile file in _files) file.DisposeAsync().AsTask().Wait(Patience);
        foreach (Fd descriptor in _descriptors) descriptor.Dispose();
    }

    // Opens a descriptor, waits in it, has it read or not, and closes it; again and again.
    private async Task ChurnAsync(int id, int count)
    {
        for (int i = 0; i < count; i++)
        {
            int kind = (i + id) % (OperatingSystem.IsLinux() ? 3 : 2);
            (Fd mine, Fd other) = kind == 0 ? Fd.Pipe() : kind == 1 ? Fd.SocketPair() : (Fd.EventFd(), Fd.EventFd());
            using (other)
            {
                PolledFile file = new(Poller, mine.Release(), ownsHandle: true);
                Task<int> reading = file.ReadAsync(new byte[8]).AsTask();
                Task waiting = AsTask(file.WaitReadableAsync()); // It queues.
                Assert.False(reading.IsCompleted, "a read of a descriptor that nobody has written to was done");
                bool isRead = i % 4 == 0 && kind != 2;
                if (isRead)
                {
                    Assert.Equal(3, other.Write(3));
                    Assert.Equal(3, await reading);
                }
                if (i % 2 == 0) file.Dispose();
                await file.DisposeAsync();
                if (!isRead) Assert.True((await Assert.ThrowsAsync<NetOpException>(() => reading)).IsClosed);
                Assert.True((await Assert.ThrowsAsync<NetOpException>(() => waiting)).IsClosed);

                // Nobody has this end any more, but for a child process that somebody starts: from its fork(2) to its exec(2) it has a copy.
                if (kind != 2 && !SpinWait.SpinUntil(() => other.Write() == -Errno.EPIPE.Number, Patience))
                {
                    Assert.Fail("a descriptor was still open after the dispose of its file");
                }
            }
        }
    }

    // The reading ends of a pipe and of a socket, and what writes to them.
    private IEnumerable<(PolledFile File, Fd Near, Fd Far)> Ends()
    {
        foreach ((Fd near, Fd far) in ((Fd, Fd)[])[Own(Fd.Pipe()), Own(Fd.SocketPair())]) yield return (Polled(near), near, far);
    }

    // Whatever a loop was told before has been handled after this.
    private void PassThroughEachLoop()
    {
        for (int i = 0; i < Poller.LoopCount; i++)
        {
            (Fd read, Fd write) = Own(Fd.Pipe());
            NetOperation<int> reading = StartRead(Polled(read), blocking: false, new byte[1]).Waiting();
            Assert.Equal(1, write.Write());
            Assert.Equal(1, reading.Result(Patience));
        }
    }

    private PolledFile Polled(Fd fd)
    {
        PolledFile file = new(Poller, fd.Number, ownsHandle: false);
        _files.Add(file);
        return file;
    }

    private (Fd, Fd) Own((Fd, Fd) pair) => (Own(pair.Item1), Own(pair.Item2));

    private Fd Own(Fd fd)
    {
        _descriptors.Add(fd);
        return fd;
    }

    private static NetOperation<int> StartRead(PolledFile file, bool blocking, Memory<byte> buffer) =>
        blocking ? new(() => file.Read(buffer.Span)) : new(file.ReadAsync(buffer).AsTask());

    private static NetOperation<int> StartCall(PolledFile file, bool blocking, byte[] buffer) =>
        blocking ? new(() => file.Read(buffer, ReadCall)) : new(file.ReadAsync(buffer, ReadCall).AsTask());

    private static NetOperation<bool> StartWait(PolledFile file, bool blocking, PollMode mode = PollMode.Read)
    {
        if (!blocking) return new(AsTask(mode == PollMode.Read ? file.WaitReadableAsync() : file.WaitWritableAsync()));
        return new(() =>
        {
            if (mode == PollMode.Read) file.WaitReadable();
            else file.WaitWritable();
            return true;
        });
    }

    private static async Task<bool> AsTask(ValueTask operation)
    {
        await operation;
        return true;
    }
}
