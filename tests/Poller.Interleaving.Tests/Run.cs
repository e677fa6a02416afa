using System.Runtime.CompilerServices;

namespace Poller.Interleaving.Tests;

/// <summary>A point where a schedule had several options. A free decision costs no preemption.</summary>
internal readonly record struct Decision(int Options, bool IsFree);

/// <summary>One execution of a scenario under one schedule. Only the thread that holds the baton touches it.</summary>
public sealed class Run
{
    private const int MaxSteps = 5_000;

    // A store. It is in the writer's store buffer while others may not have seen it. The address only tells locations apart and is never
    // dereferenced: objects may move, and a run in which they did is repeated.
    private readonly record struct Store(nint Address, object? Old, ControlledThread Writer);

    private readonly byte[] _prefix;
    private readonly List<Decision> _decisions = [];
    private readonly List<string>? _trace;
    private readonly List<ControlledThread> _threads = [];
    private readonly List<Store> _stores = [];
    private readonly Gate _ended = new();
    private readonly int _collections = GC.CollectionCount(0);
    private Action? _check;
    private int _steps;
    private bool _isOver;

    internal Run(byte[] prefix, bool traced)
    {
        _prefix = prefix;
        _trace = traced ? [] : null;
    }

    /// <summary>The run that is set up or runs. There is one at a time.</summary>
    public static Run Current { get; private set; } = null!;

    /// <summary>What broke; null if nothing did.</summary>
    public string? Failure { get; private set; }

    internal IReadOnlyList<Decision> Decisions => _decisions;

    internal IEnumerable<string> Trace => _trace ?? [];

    /// <summary>Adds a thread. A scenario calls it in its set-up.</summary>
    public void Thread(string name, Action body) => Add(name, body, isService: false);

    /// <summary>Adds a thread that may still wait when all others have ended. The run then ends, and the thread is unwound.</summary>
    public void Service(string name, Action body) => Add(name, body, isService: true);

    /// <summary>Sets the check for the end, in a scenario's set-up. The check runs uncontrolled, on the newest values.</summary>
    public void Finally(Action check) => _check = check;

    /// <summary>Runs the scenario. False if the run is void and must be repeated.</summary>
    internal bool Execute(Action<Run> scenario)
    {
        Current = this;
        scenario(this);
        ControlledThread first = Pick(null) ?? throw new InvalidOperationException("a scenario without a thread that can run.");
        first.Gate.Open();
        _ended.Wait();
        if (Failure is null && _check is not null) Guard("the check at the end", _check);
        return GC.CollectionCount(0) == _collections;
    }

    /// <summary>Runs the thread's body, and then passes the baton on.</summary>
    internal void RunBody(ControlledThread self)
    {
        self.IsStarted = true;
        Guard(self.Name, self.Body);
        self.IsDone = true;
        ControlledThread? next = null;
        if (!_isOver && (next = Pick(self)) is null) End();
        if (_isOver) next = _threads.Find(static thread => thread.IsStarted && !thread.IsDone);
        if (next is null) _ended.Open();
        else next.Gate.Open();
    }

    // The scheduling point. The caller makes the operation's effect once this returns.
    internal void Step(ControlledThread self, in Site site)
    {
        if (_isOver) throw new ScheduleEndedException();
        self.Site = site;

        // The decision that started the thread has also chosen its first step.
        bool goesOn = IsUnshared(site) || (!self.HasStepped && self.CanRun);
        self.HasStepped = true;
        ControlledThread? next = ++_steps > MaxSteps ? null : goesOn ? self : Pick(self);
        if (next is null)
        {
            if (_steps > MaxSteps) Fail($"{self.Name} was still running after {MaxSteps} steps: it makes no progress.");
            else End();
            throw new ScheduleEndedException();
        }
        if (next != self && !_isOver)
        {
            next.Gate.Open();
            self.Gate.Wait();
        }
        if (_isOver) throw new ScheduleEndedException();
        self.Waits = null;
        _trace?.Add($"  {self.Name,-12} {site}");
    }

    internal T Read<T>(ControlledThread self, ref T location)
    {
        T value = Find(self, ref location, out bool isNewest);
        TraceResult(value);
        if (_trace is not null && !isNewest) _trace[^1] += ", not the newest: its own store waits in the store buffer";
        return value;
    }

    private T Find<T>(ControlledThread self, ref T location, out bool isNewest)
    {
        isNewest = true;
        if (self.LastStore < self.View)
        {
            // The thread has nothing in its store buffer, so reading an old value would be the same as reading earlier.
            self.View = _stores.Count;
            return location;
        }

        // The values that others stored there since the view and, if the thread itself stored there too, after its own store.
        nint address = AddressOf(ref location);
        List<int>? unseen = null;
        if (GC.CollectionCount(0) == _collections)
        {
            for (int i = self.View; i < _stores.Count; i++)
            {
                if (_stores[i].Address != address) continue;
                if (_stores[i].Writer == self) unseen = null;
                else (unseen ??= []).Add(i);
            }
        }
        if (unseen is null) return location;
        int back = Decide(unseen.Count + 1, isFree: false);
        if (back == 0)
        {
            self.View = _stores.Count;
            return location;
        }
        int at = unseen.Count - back;
        if (at > 0) self.View = unseen[at - 1] + 1;
        isNewest = false;
        return (T)_stores[unseen[at]].Old!;
    }

    internal void Wrote<T>(ControlledThread self, ref T location, T old)
    {
        self.LastStore = _stores.Count;
        _stores.Add(new Store(AddressOf(ref location), old, self));
    }

    // Leaving a lock is a store that others read only when they enter the lock.
    internal void WroteUnseen(ControlledThread self)
    {
        self.LastStore = _stores.Count;
        _stores.Add(new Store(0, null, self));
    }

    internal void Fence(ControlledThread self) => self.View = _stores.Count;

    internal void TraceResult<T>(T value)
    {
        if (_trace is not null) _trace[^1] += $" = {value?.ToString() ?? "null"}";
    }

    internal void TraceResult<T>(T old, T now)
    {
        TraceResult(old);
        if (_trace is not null && !EqualityComparer<T>.Default.Equals(old, now)) _trace[^1] += $" -> {now?.ToString() ?? "null"}";
    }

    private void Add(string name, Action body, bool isService)
    {
        ControlledThread thread = new(this, _threads.Count, name, body) { IsService = isService };
        _threads.Add(thread);
        Worker.Of(thread.Index).Thread = thread;
    }

    // Counters for the statistics and the monitor, which no scenario reads. And a flag that only the monitor's thread writes, which no
    // scenario runs. A switch there makes no difference.
    private static bool IsUnshared(in Site site) =>
        site is { Operation: "Write" or "Add", What: "_polls" or "_eventCount" or "_breaks" or "_promotions" or "_progress" or "_helped" }
            or { Operation: "Write", What: "_count" }
            or { Operation: "Read", What: "_isShared" };

    private static nint AddressOf<T>(ref T location) => Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref Unsafe.As<T, byte>(ref location));

    // The options: first the thread that runs now, then the others in turn.
    private ControlledThread? Pick(ControlledThread? self)
    {
        Span<int> options = stackalloc int[_threads.Count];
        bool isFree = self is null || !self.CanRun;
        int count = Collect(options, self, yielded: false);
        if (count == 0) count = Collect(options, self, yielded: true);
        if (count == 0) return null;
        ControlledThread next = _threads[options[count == 1 ? 0 : Decide(count, isFree)]];
        foreach (ControlledThread thread in _threads) thread.Yields = false;
        return next;
    }

    private int Collect(Span<int> options, ControlledThread? self, bool yielded)
    {
        int count = 0;
        int first = self?.Index ?? 0;
        for (int i = 0; i < _threads.Count; i++)
        {
            ControlledThread thread = _threads[(first + i) % _threads.Count];
            if (yielded ? thread.CanRunAfterYield : thread.CanRun) options[count++] = thread.Index;
        }
        return count;
    }

    private int Decide(int options, bool isFree)
    {
        int decision = _decisions.Count;
        int taken = decision < _prefix.Length ? _prefix[decision] : 0;
        if (taken >= options)
        {
            Fail($"decision {decision} takes option {taken} of {options}: the schedule is another scenario's, or this one's runs differ.");
            taken = 0;
        }
        _decisions.Add(new Decision(options, isFree));
        return taken;
    }

    private void Guard(string who, Action body)
    {
        try
        {
            body();
        }
        catch (ScheduleEndedException)
        {
            // The run is over: another thread failed, which is reported, or this thread is a service.
        }
#pragma warning disable CA1031 // Whatever a thread throws is what the schedule found.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fail(e is InvariantException ? $"{who}: {e.Message}" : $"{who}: {e}");
        }
    }

    private void Fail(string message)
    {
        Failure ??= message;
        _isOver = true;
    }

    // No thread can go on.
    private void End()
    {
        _isOver = true;
        if (_threads.TrueForAll(static thread => thread.IsDone || thread.IsService)) return;
        IEnumerable<ControlledThread> waiting = _threads.Where(static thread => !thread.IsDone);
        Fail("deadlock: " + string.Join("; ", waiting.Select(static thread => $"{thread.Name} waits at {thread.Site}")));
    }
}

/// <summary>Unwinds the threads of a run that has failed.</summary>
internal sealed class ScheduleEndedException : Exception;
