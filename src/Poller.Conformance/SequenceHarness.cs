using System.Diagnostics;
using System.Globalization;

namespace Poller.Conformance;

/// <summary>What every harness keeps of its sequence for a report.</summary>
internal abstract class SequenceHarness<TCommand> : ISequenceHarness<TCommand>
{
    // Touched only by the thread that runs the sequence.
    private readonly List<TCommand> _effective = [];
    private bool _hadEffect;

    // Guarded by itself.
    private readonly List<string> _trace = [];

    // Atomic: written by the thread that runs the sequence.
    private long _progress = Stopwatch.GetTimestamp();
    private string _expectation = "";

    public string[] Trace
    {
        get
        {
            lock (_trace) return [.. _trace];
        }
    }

    public TCommand[] Effective => [.. _effective];

    public TimeSpan Standstill => Stopwatch.GetElapsedTime(Volatile.Read(ref _progress));

    public string Expectation => Volatile.Read(ref _expectation);

    /// <summary>The number of the current command.</summary>
    protected int Number { get; private set; }

    public abstract void Run(IReadOnlyList<TCommand> commands);

    public abstract void Dispose();

    /// <summary>Executes a command, with what the model expects before it.</summary>
    protected void Execute(TCommand command, string description, string expectation, Action<TCommand> execute)
    {
        Begin(description, expectation);
        _effective.Add(command);
        _hadEffect = true;
        execute(command);
        if (!_hadEffect) _effective.RemoveAt(_effective.Count - 1);
    }

    /// <summary>A step begins.</summary>
    protected void Begin(string step, string expectation)
    {
        Progress();
        Volatile.Write(ref _expectation, expectation);
        Number++;
        lock (_trace) _trace.Add(string.Create(CultureInfo.InvariantCulture, $"{Number,4}  {step}"));
    }

    /// <summary>The current command, which takes several calls, goes on.</summary>
    protected void Progress() => Volatile.Write(ref _progress, Stopwatch.GetTimestamp());

    protected void HasNoEffect()
    {
        _hadEffect = false;
        Note("no effect in this state");
    }

    protected void Note(string outcome)
    {
        lock (_trace) _trace[^1] += " → " + outcome;
    }
}
