using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>
/// Applies the commands of one sequence to real descriptors and to a new poller of the backend, and asks the model about each poll.
/// </summary>
/// <remarks>
/// One thread runs it. Another thread may read <see cref="Trace"/>, <see cref="Standstill"/> and <see cref="Expectation"/>.
/// </remarks>
internal sealed class NetpollHarness : ISequenceHarness<NetpollCommand>
{
    private const long Nanosecond = 1, Microsecond = 1000 * Nanosecond;

    private readonly INetpoll _poller;
    private readonly NetpollModel _model;
    private readonly long _patience;
    private readonly Fd?[] _fds = new Fd?[NetpollModel.EndCount];
    private readonly LibC.PollFd[] _set = new LibC.PollFd[NetpollModel.EndCount];

    // Touched only by the thread that runs the sequence.
    private readonly List<NetpollCommand> _effective = [];
    private bool _hadEffect;

    // Guarded by itself.
    private readonly List<string> _trace = [];

    // Atomic: written by the thread that runs the sequence.
    private long _progress = Stopwatch.GetTimestamp();
    private string _expectation = "";

    public NetpollHarness(INetpollFactory factory, TimeSpan patience)
    {
        _patience = (long)patience.TotalNanoseconds;
        _poller = factory.Create();
        _poller.Init();
        _model = new NetpollModel(_poller.Trigger);
    }

    public int Polls { get; private set; }
    public int Events { get; private set; }

    /// <summary>What was done so far, with the results.</summary>
    public string[] Trace
    {
        get
        {
            lock (_trace) return [.. _trace];
        }
    }

    /// <summary>The commands so far, except those that had no effect.</summary>
    public NetpollCommand[] Effective => [.. _effective];

    /// <summary>How long the current command has taken.</summary>
    public TimeSpan Standstill => Stopwatch.GetElapsedTime(Volatile.Read(ref _progress));

    /// <summary>What the model expected of the latest poll.</summary>
    public string Expectation => Volatile.Read(ref _expectation);

    /// <exception cref="ModelViolation">The backend broke the contract.</exception>
    public void Run(IReadOnlyList<NetpollCommand> commands)
    {
        for (int i = 0; i < commands.Count; i++)
        {
            Begin(i + 1, Describe(commands[i]));
            _effective.Add(commands[i]);
            _hadEffect = true;
            Execute(commands[i]);
            if (!_hadEffect) _effective.RemoveAt(_effective.Count - 1);
        }

        // All events that are due must come now, and then no more.
        Begin(commands.Count + 1, "the end: settle, and a poll that times out");
        Settle(8);
        if (_model.BreakIsPending) PollOnce(8, NetpollWait.Long, _patience);
        Settle(8);
        PollOnce(8, NetpollWait.Short, 300 * Microsecond);
    }

    public void Dispose()
    {
        _poller.Dispose();
        foreach (Fd? fd in _fds) fd?.Dispose();
    }

    private void Execute(NetpollCommand command)
    {
        switch (command)
        {
            case NetpollCommand.Write(int end, int count) when Live(end, e => e.CanWrite):
                Note(Write(end, count));
                break;
            case NetpollCommand.Fill(int end) when Live(end, e => e.CanWrite):
                int filled = 0, last;
                while ((last = Write(end, int.MaxValue)) > 0) filled += last;

                // A pipe that refuses a page may still take single bytes.
                while (last == -Errno.EAGAIN.Number && _model.Ends[end].Kind == ChannelKind.Pipe && Write(end, 1) > 0) filled++;
                Note(filled, last);
                break;
            case NetpollCommand.Read(int end, int count) when Live(end, e => e.CanRead):
                Note(Read(end, count));
                break;
            case NetpollCommand.Drain(int end) when Live(end, e => e.CanRead):
                int drained = 0, result;
                while ((result = Read(end, int.MaxValue)) > 0) drained += result;
                Note(drained, result);
                break;
            case NetpollCommand.Shutdown(int end, PollMode side) when Live(end, e => e.Kind != ChannelKind.Pipe):
                int shut = _fds[end]!.Shutdown(side == PollMode.Write ? LibC.SHUT_WR : LibC.SHUT_RD);
                Note(shut);
                if (shut == 0 && side == PollMode.Write) _model.ShutWrite(_model.Ends[end]);
                else if (shut == 0) _model.Ends[end].ShutRead();
                break;
            case NetpollCommand.Hangup(int end) when Live(end):
                if (_model.Ends[end].Token is not null) Close(end);
                _fds[end]!.Dispose();
                _fds[end] = null;
                _model.Vanished(_model.Ends[end]);
                break;
            case NetpollCommand.Renew(int end):
                Renew(end);
                break;
            case NetpollCommand.Open(int end) when Live(end):
                Open(end);
                break;
            case NetpollCommand.Close(int end) when Live(end):
                Close(end);
                break;
            case NetpollCommand.Arm(int end, PollMode mode) when Live(end, e => e.Token is not null):
                NetpollEnd armed = _model.Ends[end];
                Expect($"Arm({mode}) of {armed}", Errno.None, Call("Arm", () => _poller.Arm(_fds[end]!, mode)));
                _model.Armed(armed, mode);
                break;
            case NetpollCommand.Poll(int room, int microseconds):
                PollOnce(room, microseconds == 0 ? NetpollWait.None : NetpollWait.Short, microseconds * Microsecond + Odd(microseconds));
                break;
            case NetpollCommand.Await(int room):
                Observe();
                if (_model.MustReturn) PollOnce(room, NetpollWait.Long, _patience);
                else HasNoEffect("nothing is due");
                break;
            case NetpollCommand.Settle(int room):
                Settle(room);
                break;
            case NetpollCommand.Break(int times):
                for (; times > 0; times--) Call("Break", _poller.Break);
                _model.Broke();
                break;
            case NetpollCommand.BreakDuringPoll(int room):
                BreakDuringPoll(room);
                break;
            default:
                HasNoEffect("no effect in this state");
                break;
        }
        Observe();

        // The time-out is not a whole number of microseconds, so that the backend must round it up.
        static long Odd(int microseconds) => microseconds % 10 * 77 * Nanosecond;
    }

    /// <summary>Whether there is a descriptor to act on. Creates the channel if it was never used.</summary>
    private bool Live(int end, Func<NetpollEnd, bool>? where = null)
    {
        if (_fds[end] is null && !_model.Ends[end].IsClosed)
        {
            int first = end & ~1;
            (_fds[first], _fds[first + 1]) = MakeChannel(_model.Ends[first].Kind);
            Observe();
        }
        return _fds[end] is not null && where?.Invoke(_model.Ends[end]) != false;
    }

    private static (Fd, Fd) MakeChannel(ChannelKind kind) => kind switch
    {
        ChannelKind.Unix => Fd.SocketPair(),
        ChannelKind.Pipe => Fd.Pipe(),
        _ => Fd.TcpPair(),
    };

    private int Write(int end, int count)
    {
        int result = _fds[end]!.Write(count);
        _model.Ends[end].Wrote(result);
        return result;
    }

    private int Read(int end, int count)
    {
        int result = _fds[end]!.Read(count);
        _model.Ends[end].Took(Math.Min(count, Fd.Chunk), result);
        return result;
    }

    private void Open(int index)
    {
        NetpollEnd end = _model.Ends[index];
        PollToken token = _model.NextToken(end);
        Observe();
        Expect($"Open of {end}", end.Token is null ? Errno.None : Errno.EEXIST, Call("Open", () => _poller.Open(_fds[index]!, token)));
        if (end.Token is not null) return;
        _model.Opened(end);
        Note($"token {token}");
    }

    private void Close(int index)
    {
        NetpollEnd end = _model.Ends[index];
        Expect($"Close of {end}", end.Token is null ? Errno.ENOENT : Errno.None, Call("Close", () => _poller.Close(_fds[index]!)));
        if (end.Token is not null) _model.Closed(end);
    }

    private void Renew(int index)
    {
        int first = index & ~1;
        ReadOnlySpan<int> both = [first, first + 1];
        List<int> opened = [];
        foreach (int end in both)
        {
            if (_model.Ends[end].Token is null) continue;
            Close(end);
            opened.Add(end);
        }

        (Fd a, Fd b) = MakeChannel(_model.Ends[first].Kind);
        foreach ((int end, Fd fresh) in ((int, Fd)[])[(first, a), (first + 1, b)])
        {
            if (_fds[end] is { } old) old.BecomeOther(fresh);
            else _fds[end] = fresh;
        }
        _model.Make(first / 2);
        foreach (int end in opened) Open(end);
    }


    private void BreakDuringPoll(int room)
    {
        bool called = false;
        using ManualResetEventSlim go = new();
        Worker breaker = Worker.Start("call Break during a poll", () =>
        {
            go.Wait();
            Volatile.Write(ref called, true);
            _poller.Break();
        });
        try
        {
            PollOnce(room, NetpollWait.Long, _patience, go, ref called);
        }
        finally
        {
            breaker.Join();
        }
    }

    private void Settle(int room)
    {
        while (true)
        {
            while (PollOnce(room, NetpollWait.None, 0) > 0) { }
            if (!_model.IsDueOverTcp) break;
            PollOnce(room, NetpollWait.Long, _patience);
        }
        if (_model.Settled() is { } fault) throw new ModelViolation(fault, _model.Describe());
    }

    private int PollOnce(int room, NetpollWait wait, long delay)
    {
        bool never = false;
        return PollOnce(room, wait, delay, null, ref never);
    }

    private int PollOnce(int room, NetpollWait wait, long delay, ManualResetEventSlim? begins, ref bool breakCalled)
    {
        Observe();
        _model.Polling();
        string expectation = _model.Describe();
        Volatile.Write(ref _expectation, expectation);
        PollEvent[] events = new PollEvent[room];
        begins?.Set();
        long start = Stopwatch.GetTimestamp();
        int count = Call("Poll", () => _poller.Poll(events, delay));
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        bool breakCame = Volatile.Read(ref breakCalled);
        Polls++;
        if (count < 0 || count > room) throw new ModelViolation($"Poll with room for {room} returned {count}", expectation);
        Events += count;
        Note($"poll({delay} ns), room {room}: {(count == 0 ? "nothing" : string.Join(", ", events[..count].Select(Describe)))} "
            + string.Create(CultureInfo.InvariantCulture, $"after {taken.TotalMicroseconds:0} µs"));

        Observe();
        string? fault = _model.Polled(events.AsSpan(0, count), wait, taken.TotalNanoseconds >= delay, breakCame);
        if (fault is not null) throw new ModelViolation(fault, expectation);
        if (begins is not null && !breakCame) _model.Broke();
        return count;
    }

    /// <summary>Asks the kernel about every end, until all earlier actions have arrived.</summary>
    private void Observe()
    {
        long start = Stopwatch.GetTimestamp();
        for (SpinWait spin = default; ; spin.SpinOnce(sleep1Threshold: -1))
        {
            int count = 0;
            foreach (Fd? fd in _fds)
            {
                if (fd is not null) _set[count++] = new() { Fd = fd.Number, Events = LibC.POLLIN | LibC.POLLPRI | LibC.POLLOUT };
            }
            if (count == 0) return;
            if (LibC.poll(_set.AsSpan(0, count)) < 0) throw new InvalidOperationException("poll: " + Marshal.GetLastPInvokeErrorMessage());

            string? missing = null;
            count = 0;
            foreach (NetpollEnd end in _model.Ends)
            {
                if (_fds[end.Index] is null) continue;
                PollMode ready = Fd.Ready(_set[count++].Revents);
                bool agree = (end.IsReadable is not { } readable || readable == ((ready & PollMode.Read) != 0))
                    && (end.IsWritable is not true || (ready & PollMode.Write) != 0);
                if (!agree) missing = $"poll(2) says that {ready} of {end} is ready; {end.IsReadable} and {end.IsWritable} were expected";
                _model.Observe(end, ready);
            }
            if (missing is null) return;
            if (Stopwatch.GetElapsedTime(start) > Worker.Bound)
            {
                throw new InvalidOperationException(missing);
            }
        }
    }

    // Any exception is a fault of the backend, because a sequence makes no call for which the contract allows one.
    private T Call<T>(string member, Func<T> call)
    {
        try
        {
            return call();
        }
#pragma warning disable CA1031
        catch (Exception error)
#pragma warning restore CA1031
        {
            throw new ModelViolation($"{member} threw {error}", _model.Describe());
        }
    }

    private void Call(string member, Action call) => Call(member, () =>
    {
        call();
        return 0;
    });

    private void Expect(string what, Errno expected, Errno errno)
    {
        Note($"{errno}");
        if (errno != expected) throw new ModelViolation($"{what} answered {errno}; {expected} was expected", _model.Describe());
    }

    private void Begin(int number, string command)
    {
        Volatile.Write(ref _progress, Stopwatch.GetTimestamp());
        _model.Begin(number, command);
        lock (_trace) _trace.Add(string.Create(CultureInfo.InvariantCulture, $"{number,4}  {command}"));
    }

    private void HasNoEffect(string why)
    {
        _hadEffect = false;
        Note(why);
    }

    private void Note(string outcome)
    {
        lock (_trace) _trace[^1] += " → " + outcome;
    }

    private void Note(int result) => Note(result >= 0 ? $"{result}" : $"{new Errno(-result)}");

    private void Note(int total, int last) => Note($"{total}, then {(last == 0 ? "the end" : $"{new Errno(-last)}")}");

    private string Describe(PollEvent e) =>
        $"{e.Readiness} under {e.Token}"
        + (_model.Ends.FirstOrDefault(end => end.Token == e.Token) is { } end ? $" ({end})" : " (nobody's)");

    private string Describe(NetpollCommand command) => command switch
    {
        NetpollCommand.Write(int end, int count) => $"write {count} to {Name(end)}",
        NetpollCommand.Fill(int end) => $"fill {Name(end)}",
        NetpollCommand.Read(int end, int count) => $"read {count} from {Name(end)}",
        NetpollCommand.Drain(int end) => $"drain {Name(end)}",
        NetpollCommand.Shutdown(int end, PollMode side) => $"shut down the {side} side of {Name(end)}",
        NetpollCommand.Hangup(int end) => $"close(2) of {Name(end)}",
        NetpollCommand.Renew(int end) => $"close(2) of both ends of {Name(end & ~1)}, and a new channel under their numbers",
        NetpollCommand.Open(int end) => $"Open {Name(end)}",
        NetpollCommand.Close(int end) => $"Close {Name(end)}",
        NetpollCommand.Arm(int end, PollMode mode) => $"Arm {mode} of {Name(end)}",
        NetpollCommand.Poll(int room, int microseconds) => $"Poll for {microseconds} µs with room for {room}",
        NetpollCommand.Await(int room) => $"Poll for what is due with room for {room}",
        NetpollCommand.Settle(int room) => $"Poll until there is nothing more, with room for {room}",
        NetpollCommand.Break(int times) => times == 1 ? "Break" : $"Break, {times} times",
        NetpollCommand.BreakDuringPoll(int room) => $"Break from another thread during a Poll with room for {room}",
        _ => throw new InvalidOperationException($"unknown command {command}"),
    };

    private string Name(int end) => _fds[end] is { } fd ? $"{_model.Ends[end]} (fd {fd.Number})" : $"{_model.Ends[end]}";
}
