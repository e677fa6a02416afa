using System.Diagnostics;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Tests.Shared;

/// <summary>Pairs of Unix sockets, both ends of each in the poller or not, and what its next polls have to report of them.</summary>
internal sealed class EdgeModel : IDisposable
{
    private const int HistoryLength = 60;

    private enum BreakState { None, Pending, PerhapsSeen }

    private readonly INetpoll _poller;
    private readonly Random _random;
    private readonly End[] _ends;
    private readonly Dictionary<ulong, End> _registered = [];
    private readonly Queue<string> _history = [];
    private BreakState _break;
    private ulong _lastToken;

    public EdgeModel(INetpoll poller, int pairs, Random random)
    {
        (_poller, _random, _ends) = (poller, random, new End[2 * pairs]);
        for (int i = 0; i < _ends.Length; i += 2) MakePair(i);
    }

    public string History => string.Join('\n', _history);

    private bool HasDebt => _registered.Values.Any(end => end.MustRead || end.MustWrite);

    public void Step()
    {
        int index = _random.Next(_ends.Length);
        End end = _ends[index];
        int kind = _random.Next(100);
        if (end.IsClosed && kind < 70) kind = 69;
        switch (kind)
        {
            case < 25: Write(end, _random.Next(1, 20_000)); break;
            case < 30: for (int i = 0; i < 1000 && Write(end, 60_000); i++) { } break;
            case < 40: Read(end, _random.Next(1, 30_000)); break;
            case < 52: while (Read(end, 60_000)) { } break;
            case < 55: Shutdown(end); break;
            case < 60: Unregister(end); break;
            case < 67: Register(end); break;
            case < 70:
                Close(end);
                if (end.Peer.IsClosed) MakePair(index & ~1);
                break;
            case < 74: Note("break"); _poller.Break(); _break = BreakState.Pending; break;
            case < 84: PollOnce(0); break;
            case < 92: PollBlocking(); break;
            default: PollAll(); break;
        }
    }

    /// <summary>Polls until there is nothing more; then no report may be missing.</summary>
    public void PollAll()
    {
        while (PollOnce(0) > 0) { }
        foreach (End end in _registered.Values)
        {
            if (end.MustRead || end.MustWrite) throw new InvalidOperationException($"an edge was lost: {end}");
        }
    }

    public void Dispose()
    {
        foreach (End end in _ends)
        {
            if (!end.IsClosed) end.Fd.Dispose();
        }
    }

    private void PollBlocking()
    {
        if (_break == BreakState.None && !HasDebt) return;
        if (_break == BreakState.PerhapsSeen && !HasDebt)
        {
            PollOnce(1_000_000);
            return;
        }

        // There is a reason to return: a poll that waits the time out has lost it.
        const long Delay = 60_000_000_000;
        BreakState before = _break;
        long start = Stopwatch.GetTimestamp();
        int count = PollOnce(Delay);
        bool isOver = count > 0 || before != BreakState.None && Stopwatch.GetElapsedTime(start).TotalNanoseconds < Delay;
        if (!isOver) throw new InvalidOperationException($"a poll that had a reason to return waited its time out; break: {before}");
    }

    private int PollOnce(long delay)
    {
        PollEvent[] events = new PollEvent[_random.Next(1, 9)];
        int count = _poller.Poll(events, delay);
        Note($"poll {delay} room {events.Length}: {string.Join(" ", events[..count])}");
        if (delay != 0 && _break != BreakState.None) _break = count == 0 ? BreakState.None : BreakState.PerhapsSeen;

        foreach ((PollToken token, PollReadiness readiness) in events.AsSpan(0, count))
        {
            if (!_registered.TryGetValue(token.Value, out End? end))
            {
                throw new InvalidOperationException($"{token} is closed and was reported");
            }
            if (readiness == None) throw new InvalidOperationException($"an event without readiness: {end}");
            if (readiness.HasFlag(Readable)) end.MustRead = false;
            if (readiness.HasFlag(Writable)) end.MustWrite = false;
        }
        return count;
    }

    private void MakePair(int index)
    {
        (Fd a, Fd b) = Fd.SocketPair();
        Note($"pair {a.Number} {b.Number}");
        (_ends[index], _ends[index + 1]) = End.Pair(a, b);
        if (_random.Next(4) != 0) Register(_ends[index]);
        if (_random.Next(2) != 0) Register(_ends[index + 1]);
    }

    private void Register(End end)
    {
        PollToken token = new(++_lastToken);
        Errno error = _poller.Open(end.Fd, token);
        Note($"open {end} as {token}: {error}");
        Expect(end, end.Token != 0 ? Errno.EEXIST : Errno.None, error);
        if (error != Errno.None) return;

        end.Token = token.Value;
        _registered.Add(token.Value, end);
        end.MustRead = end.IsReadable;
        end.MustWrite = end.Peer.Waiting == 0 || end.Peer.IsClosed;
    }

    private void Unregister(End end)
    {
        if (end.Token == 0) return;
        Note($"unregister {end}");
        Expect(end, Errno.None, _poller.Close(end.Fd));
        _registered.Remove(end.Token);
        end.Token = 0;
        end.MustRead = end.MustWrite = false;
    }

    private void Close(End end)
    {
        if (end.IsClosed) return;
        Unregister(end);
        Note($"close {end}");
        end.Fd.Dispose();
        end.IsClosed = true;
        End peer = end.Peer;
        peer.HasEnd = true;
        peer.IsFull = false;
        peer.MustRead = peer.MustWrite = peer.Token != 0;
    }

    private void Shutdown(End end)
    {
        if (end.IsShut) return;
        Note($"shutdown {end}");
        end.Fd.Shutdown();
        end.IsShut = true;
        end.MustWrite = false;
        end.Peer.HasEnd = true;
        end.Peer.MustRead = end.Peer.Token != 0;
    }

    private bool Write(End end, int count)
    {
        int written = end.Fd.Send(count);
        Note($"write {count} to {end}: {written}");

        // The socket calls itself writable while most of its buffer is free; what is owed of that, a write may undo.
        if (!end.Peer.IsClosed) end.MustWrite = false;
        if (end.IsShut || end.Peer.IsClosed) Expect(end, true, written == -Errno.EPIPE.Number || written == -Errno.ECONNRESET.Number);
        else if (written < 0)
        {
            Expect(end, -Errno.EAGAIN.Number, written);
            end.IsFull = true;
        }
        else
        {
            end.Peer.Waiting += written;
            end.Peer.MustRead = end.Peer.Token != 0;
        }
        return written > 0;
    }

    private bool Read(End end, int count)
    {
        int read = end.Fd.Read(count);
        Note($"read {count} of {end}: {read}");
        if (read > 0) end.Waiting -= read;
        else if (read == 0) Expect(end, true, end.HasEnd);
        else Expect(end, true, read == -Errno.EAGAIN.Number && !end.HasEnd || read == -Errno.ECONNRESET.Number && end.Peer.IsClosed);

        if (read <= 0) Expect(end, 0, end.Waiting);
        if (!end.IsReadable) end.MustRead = false;
        if (end.Waiting == 0 && end.Peer.IsFull)
        {
            end.Peer.IsFull = false;
            end.Peer.MustWrite = end.Peer.Token != 0 && !end.Peer.IsShut;
        }
        return read > 0;
    }

    private static void Expect<T>(End end, T expected, T actual)
    {
        if (!Equals(expected, actual)) throw new InvalidOperationException($"{expected} was expected and not {actual}: {end}");
    }

    private void Note(string step)
    {
        if (_history.Count == HistoryLength) _history.Dequeue();
        _history.Enqueue(step);
    }

    /// <summary>One end of a pair, as the model has it.</summary>
    private sealed class End(Fd fd)
    {
        public Fd Fd => fd;
        public End Peer { get; private set; } = null!;

        /// <summary>What it is registered under, or 0.</summary>
        public ulong Token { get; set; }

        /// <summary>The bytes that wait to be read here.</summary>
        public int Waiting { get; set; }

        /// <summary>Nothing follows those bytes.</summary>
        public bool HasEnd { get; set; }

        /// <summary>Its last write found no room.</summary>
        public bool IsFull { get; set; }

        public bool IsShut { get; set; }
        public bool IsClosed { get; set; }
        public bool MustRead { get; set; }
        public bool MustWrite { get; set; }

        public bool IsReadable => Waiting > 0 || HasEnd;

        public static (End, End) Pair(Fd a, Fd b)
        {
            End one = new(a), other = new(b);
            (one.Peer, other.Peer) = (other, one);
            return (one, other);
        }

        public override string ToString() =>
            $"fd {fd.Number} [token {Token}, waiting {Waiting}, end {HasEnd}, full {IsFull}, shut {IsShut}, closed {IsClosed}, "
            + $"peer closed {Peer.IsClosed}, must read {MustRead}, must write {MustWrite}]";
    }
}
