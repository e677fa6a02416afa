using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Tests.Shared;

/// <summary>Random operations, held to what the system itself calls ready. POLLER_SEED=n repeats the run whose failure names n.</summary>
public abstract class LevelTortureTests(INetpollFactory backend) : LevelTest(backend)
{
    private readonly int _seed = Seed.Next();

    [Theory]
    [InlineData(1, 10_000)]
    [InlineData(3, 20_000)]
    [InlineData(40, 30_000)]
    public void What_is_armed_and_ready_is_reported_once_and_nothing_else_is(int pairs, int count)
    {
        Random random = new(_seed);
        Queue<string> history = [];
        End[] ends = new End[2 * pairs];
        for (int i = 0; i < pairs; i++) (ends[2 * i], ends[2 * i + 1]) = End.Pair(Fd.SocketPair());
        Dictionary<ulong, End> registered = [];
        ulong lastToken = 0;
        try
        {
            for (int step = 0; step < count; step++) Step();
            PollEverything();
        }
        catch (Exception error)
        {
            string steps = string.Join('\n', history);
            throw new InvalidOperationException($"POLLER_SEED={_seed}: {error.Message}\nThe last steps:\n{steps}", error);
        }
        finally
        {
            foreach (End end in ends) end.Fd.Dispose();
        }

        void Step()
        {
            int index = random.Next(ends.Length);
            End end = ends[index];
            switch (random.Next(100))
            {
                case < 20: Note($"write {end}: {end.Fd.Send(random.Next(1, 20_000))}"); break;
                case < 25: Note($"fill {end}: {end.Fd.Fill()}"); break;
                case < 33: Note($"read {end}: {end.Fd.Read(random.Next(1, 30_000))}"); break;
                case < 43: Note($"drain {end}: {end.Fd.Drain()}"); break;
                case < 45: Note($"shutdown {end}"); end.Shutdown(); break;
                case < 52: Register(end); break;
                case < 57: Unregister(end); break;
                case < 60:
                    Unregister(end);
                    Unregister(end.Peer);
                    Note($"renew {end}");
                    end.Fd.Dispose();
                    end.Peer.Fd.Dispose();
                    (ends[index & ~1], ends[index | 1]) = End.Pair(Fd.SocketPair());
                    break;
                case < 80: Arm(end, (PollMode)random.Next(1, 4)); break;
                case < 83: Note("break"); Poller.Break(); break;
                case < 93: PollSome(0); break;
                case < 96: PollSome(Millisecond); break;
                default: PollEverything(); break;
            }
        }

        void Register(End end)
        {
            ulong token = ++lastToken;
            Errno errno = Poller.Open(end.Fd, new PollToken(token));
            Note($"open {end} as {token}: {errno}");
            Expect(end, end.Token == 0 ? Errno.None : Errno.EEXIST, errno);
            if (errno == Errno.None) registered.Add(end.Token = token, end);
        }

        void Unregister(End end)
        {
            Errno errno = Poller.Close(end.Fd);
            Note($"close {end}: {errno}");
            Expect(end, end.Token == 0 ? Errno.ENOENT : Errno.None, errno);
            registered.Remove(end.Token);
            (end.Token, end.Armed) = (0, PollMode.None);
        }

        void Arm(End end, PollMode mode)
        {
            Errno errno = Poller.Arm(end.Fd, mode);
            Note($"arm {mode} of {end}: {errno}");
            Expect(end, end.Token == 0 ? Errno.ENOENT : Errno.None, errno);
            if (errno == Errno.None) end.Armed |= mode;
        }

        int PollSome(long delay)
        {
            PollEvent[] events = Poll(delay, room: random.Next(1, 9));
            Note($"poll {delay}: {string.Join(" ", events)}");
            foreach (PollEvent found in events)
            {
                if (!registered.TryGetValue(found.Token.Value, out End? end))
                {
                    throw new InvalidOperationException($"{found} is of a descriptor that was closed");
                }
                PollMode mode = ModeOf(found.Readiness);
                Expect(end, true, mode != PollMode.None);
                Expect(end, mode, mode & end.Armed & Ready(end.Fd.Number));
                end.Armed &= ~mode;
            }
            return events.Length;
        }

        void PollEverything()
        {
            while (PollSome(0) > 0) { }
            foreach (End end in registered.Values) Expect(end, PollMode.None, end.Armed & Ready(end.Fd.Number));
        }

        void Expect<T>(End end, T expected, T actual)
        {
            if (!Equals(expected, actual)) throw new InvalidOperationException($"{expected} was expected and not {actual}: {end}");
        }

        void Note(string step)
        {
            if (history.Count == 60) history.Dequeue();
            history.Enqueue(step);
        }
    }

    [Fact]
    public void Threads_that_arm_and_wait_while_one_polls_lose_nothing()
    {
        const int Pairs = 3, Messages = 3000;
        Dictionary<ulong, (SemaphoreSlim Read, SemaphoreSlim Write)> waits = Enumerable.Range(0, 2 * Pairs)
            .ToDictionary(static i => (ulong)i, static _ => (new SemaphoreSlim(0), new SemaphoreSlim(0)));
        bool stop = false;
        Worker loop = Worker.Start(() =>
        {
            Random random = new(_seed);
            while (!Volatile.Read(ref stop))
            {
                long delay = random.Next(3) == 0 ? 10 * Millisecond : Blocking;
                foreach ((PollToken token, PollReadiness readiness) in Poll(delay, room: random.Next(1, 6)))
                {
                    if (readiness.HasFlag(Readable)) waits[token.Value].Read.Release();
                    if (readiness.HasFlag(Writable)) waits[token.Value].Write.Release();
                }
            }
        });

        // Both ends of a pair write and read, each direction with a thread of its own; the messages are larger than the socket's buffer.
        List<Worker> users = [];
        for (int pair = 0; pair < Pairs; pair++)
        {
            (Fd a, Fd b) = Own(Fd.SocketPair());
            foreach ((Fd fd, ulong token) in new[] { (a, 2ul * (ulong)pair), (b, 2ul * (ulong)pair + 1) })
            {
                Open(fd, token);
                users.Add(Worker.Start(() => Move(fd, token, PollMode.Read)));
                users.Add(Worker.Start(() => Move(fd, token, PollMode.Write)));
            }
        }
        try
        {
            foreach (Worker user in users) user.Join();
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();

        void Move(Fd fd, ulong token, PollMode mode)
        {
            const int Size = 20_000;
            Random random = new(_seed + (int)token);
            SemaphoreSlim wait = mode == PollMode.Read ? waits[token].Read : waits[token].Write;
            for (long left = (long)Messages * Size; left > 0;)
            {
                int count = (int)Math.Min(left, random.Next(1, Size));
                int moved = mode == PollMode.Read ? fd.Read(count) : fd.Send(count);
                if (moved > 0)
                {
                    left -= moved;
                    continue;
                }
                Assert.Equal(-Errno.EAGAIN.Number, moved);
                Arm(fd, mode);
                if (random.Next(8) == 0) Arm(fd, mode); // Twice is as good as once, and may wake once more.
                if (!wait.Wait(Worker.Bound / 2)) throw new TimeoutException($"POLLER_SEED={_seed}: {mode} of {token} was lost");
            }
        }
    }

    private sealed class End(Fd fd)
    {
        private bool _isShut;

        public Fd Fd => fd;
        public End Peer { get; private set; } = null!;

        /// <summary>What it is registered under, or 0.</summary>
        public ulong Token { get; set; }

        public PollMode Armed { get; set; }

        public static (End, End) Pair((Fd A, Fd B) fds)
        {
            End one = new(fds.A), other = new(fds.B);
            (one.Peer, other.Peer) = (other, one);
            return (one, other);
        }

        public void Shutdown()
        {
            if (!_isShut) fd.Shutdown();
            _isShut = true;
        }

        public override string ToString() => $"fd {fd.Number} [token {Token}, armed {Armed}, ready {Ready(fd.Number)}]";
    }
}
