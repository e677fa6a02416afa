namespace Poller.Interleaving.Tests;

/// <summary>The place of an operation in the sources, and what it works on.</summary>
public readonly record struct Site(string Operation, string What, string File, int Line)
{
    public override string ToString() => Line == 0 ? $"{Operation} {What}" : $"{Path.GetFileName(File)}:{Line} {Operation} {What}";
}

/// <summary>A thread of a run. The controlled operations see the run through it.</summary>
public sealed class ControlledThread
{
    [ThreadStatic]
    private static ControlledThread? _current;

    private readonly Run _run;

    internal ControlledThread(Run run, int index, string name, Action body)
    {
        _run = run;
        Index = index;
        Name = name;
        Body = body;
        Gate = Worker.Of(index).Gate;
    }

    /// <summary>The running thread; null in a set-up and in a check at the end, where nothing is controlled.</summary>
    public static ControlledThread? Current => _current;

    public string Name { get; }

    internal int Index { get; }

    internal Action Body { get; }

    internal Gate Gate { get; }

    internal bool IsService { get; init; }

    internal bool IsStarted { get; set; }

    internal bool HasStepped { get; set; }

    internal bool IsDone { get; set; }

    /// <summary>What the thread waits for; null while it can continue.</summary>
    internal Func<bool>? Waits { get; set; }

    /// <summary>Set until another thread has made a step.</summary>
    internal bool Yields { get; set; }

    internal Site Site { get; set; }

    /// <summary>How many of the run's stores the thread has certainly seen: those before its last fence or newest read.</summary>
    internal int View { get; set; }

    /// <summary>
    /// The index of its own last store in the run's stores. The store is in the store buffer while it is not below the view.
    /// </summary>
    internal int LastStore { get; set; } = -1;

    internal bool CanRun => !Yields && CanRunAfterYield;

    internal bool CanRunAfterYield => !IsDone && Waits?.Invoke() != false;

    /// <summary>A scheduling point before an operation. Returns the thread; null where nothing is controlled.</summary>
    public static ControlledThread? Step(in Site site)
    {
        ControlledThread? self = _current;
        self?._run.Step(self, site);
        return self;
    }

    /// <summary>
    /// A scheduling point and a full fence, which the thread passes only when <paramref name="condition"/> holds. The condition makes only
    /// plain reads.
    /// </summary>
    public static void WaitUntil(Func<bool> condition, in Site site)
    {
        ControlledThread? self = _current;
        if (self is null)
        {
            if (!condition()) throw new InvalidOperationException($"{site}: nobody is there who could end this wait.");
            return;
        }
        self.Waits = condition;
        self._run.Step(self, site);
        self.Fence();
    }

    /// <summary>A scheduling point for a loop that waits for another thread to do something.</summary>
    public static void Yield()
    {
        if (_current is not { } self) return;
        self.Yields = true;
        self._run.Step(self, new Site("Yield", "", "", 0));
    }

    public T Read<T>(ref T location) => _run.Read(this, ref location);

    /// <summary>Notes that a store was made, and is in the store buffer.</summary>
    public void Wrote<T>(ref T location, T old) => _run.Wrote(this, ref location, old);

    /// <summary>Notes that a lock was left.</summary>
    public void Left() => _run.WroteUnseen(this);

    /// <summary>Empties the store buffer. Later reads see new values.</summary>
    public void Fence() => _run.Fence(this);

    public void TraceResult<T>(T value) => _run.TraceResult(value);

    public void TraceResult<T>(T old, T now) => _run.TraceResult(old, now);

    internal void RunBody()
    {
        _current = this;
        _run.RunBody(this);
    }
}
