using System.Collections.Concurrent;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Tests.Shared;

/// <summary>Random operations against a model of what has to be reported. POLLER_SEED=n repeats the run whose failure names n.</summary>
public abstract class EdgeTortureTests<TPoller>(TPoller poller, int rounds) : PollerTest<TPoller>(poller) where TPoller : INetpoll
{
    private readonly int _seed = Seed.Next();

    [Theory]
    [InlineData(1, 20_000)]
    [InlineData(2, 20_000)]
    [InlineData(30, 40_000)]
    public void What_has_to_be_reported_is_and_what_was_closed_is_not(int pairs, int steps)
    {
        // No signal may end a timed poll with nothing: the model takes that for a lost edge.
        Worker.RunUninterrupted(() =>
        {
            using EdgeModel model = new(Poller, pairs, new Random(_seed));
            try
            {
                for (int step = 0; step < steps; step++) model.Step();
                model.PollAll();
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"POLLER_SEED={_seed}: {error.Message}\nThe last steps:\n{model.History}", error);
            }
        });
    }

    [Fact]
    public void The_same_holds_while_one_thread_polls_and_others_change_what_it_polls()
    {
        const int Threads = 4;
        ConcurrentDictionary<ulong, Watch> watches = new();
        long generation = 0;
        bool stop = false;

        Worker loop = Worker.Start(() =>
        {
            Random random = new(_seed);
            while (!Volatile.Read(ref stop))
            {
                long current = Interlocked.Increment(ref generation);
                Vary(random);
                PollEvent[] events = Poll(random.Next(4) switch { 0 => 0, 1 => 10 * Millisecond, _ => Blocking }, room: random.Next(1, 6));
                foreach ((PollToken token, PollReadiness readiness) in events) watches[token.Value].Add(readiness, current);
            }
        });
        Worker[] users = [.. Enumerable.Range(1, Threads).Select(user => Worker.Start(() =>
        {
            Random random = new(_seed + user);
            Watch? watch = null;
            for (int round = 0; round < rounds; round++)
            {
                watch ??= OpenWatch(new PollToken((uint)user, (uint)round));
                if (Use(watch, random)) continue;

                Assert.Equal(Errno.None, Poller.Close(watch.Near));
                watch.ClosedIn = Volatile.Read(ref generation);
                watch.Near.Dispose();
                watch.Far.Dispose();
                watch = null;
            }
            watch?.Far.Dispose();
            watch?.Near.Dispose();
        }))];

        try
        {
            foreach (Worker user in users) user.Join();
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"POLLER_SEED={_seed}: {error.Message}", error);
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();

        // A poll that was under way when Close returned may have had the event already; one that began later may not.
        Assert.All(watches.Values, watch => Assert.InRange(watch.SeenIn, 0, watch.ClosedIn));

        Watch OpenWatch(PollToken token)
        {
            (Fd near, Fd far) = Fd.SocketPair();
            Watch watch = new(token, near, far);
            watches[token.Value] = watch;
            Assert.Equal(Errno.None, Poller.Open(near, token));
            watch.Await(Writable, 0);
            return watch;
        }
    }

    /// <summary>Chooses how the backend polls next, where it has several ways.</summary>
    protected virtual void Vary(Random random) { }

    // One thing the poller has to report, awaited. False when the pair is of no more use.
    private bool Use(Watch watch, Random random)
    {
        long readable = watch.Count(Readable), writable = watch.Count(Writable), hangups = watch.Count(ReadHangup);
        switch (random.Next(10))
        {
            case < 4:
                int sent = watch.Far.Write(random.Next(1, 5000));
                watch.Await(Readable, readable);
                Assert.Equal(sent, watch.Near.Drain());
                return true;
            case < 6:
                int filled = watch.Near.Fill();
                writable = watch.Count(Writable);
                Assert.Equal(filled, watch.Far.Drain());
                watch.Await(Writable, writable);
                return true;
            case 6:
                Poller.Break();
                return true;
            case 7:
                watch.Far.Shutdown();
                watch.Await(ReadHangup, hangups);
                return false;
            case 8:
                watch.Near.Fill();
                watch.Far.Dispose();
                watch.Await(ReadHangup, hangups);
                return false;
            default:
                watch.Far.Write();
                return false;
        }
    }

    /// <summary>What one token has been reported with, and in which of the loop's polls last.</summary>
    private sealed class Watch(PollToken token, Fd near, Fd far)
    {
        private long _readable, _writable, _hangups;

        public PollToken Token => token;
        public Fd Near => near;
        public Fd Far => far;

        /// <summary>Written by the loop, and read when it has ended.</summary>
        public long SeenIn { get; private set; }

        public long ClosedIn { get; set; } = long.MaxValue;

        public void Add(PollReadiness readiness, long generation)
        {
            SeenIn = generation;
            if (readiness.HasFlag(Readable)) Interlocked.Increment(ref _readable);
            if (readiness.HasFlag(Writable)) Interlocked.Increment(ref _writable);
            if (readiness.HasFlag(ReadHangup)) Interlocked.Increment(ref _hangups);
        }

        public long Count(PollReadiness direction) =>
            Volatile.Read(ref direction == Readable ? ref _readable : ref direction == Writable ? ref _writable : ref _hangups);

        public void Await(PollReadiness direction, long more)
        {
            bool came = SpinWait.SpinUntil(() => Count(direction) > more, Worker.Bound / 2);
            if (!came) throw new TimeoutException($"{direction} of {token} was lost");
        }
    }
}
