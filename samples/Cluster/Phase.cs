using System.Diagnostics;

namespace Cluster;

/// <summary>
/// A part of the experiment, and the counts of the calls that began in it. Safe from any thread, except where it says otherwise.
/// </summary>
internal sealed class Phase(string name)
{
    private readonly Lock _lock = new();
    private readonly long _begun = Stopwatch.GetTimestamp();

    public string Name => name;

    /// <summary>How long it took; zero until it has ended.</summary>
    public TimeSpan Duration { get; private set; }

    // Guarded by the lock while calls run.
    public long Acknowledged { get; private set; }

    /// <summary>Answers that named another call.</summary>
    public long Crossed { get; private set; }

    /// <summary>The attempts that failed, by what they failed with.</summary>
    public Dictionary<string, long> Failures { get; } = [];

    /// <summary>The acknowledgments, by the port of the silo that gave them.</summary>
    public Dictionary<int, long> BySilo { get; } = [];

    /// <summary>The longest time from a call's first attempt to its acknowledgment.</summary>
    public TimeSpan Longest { get; private set; }

    // Set by the audit, on one thread, when no call runs any more.

    /// <summary>How many times an account got a call that it had executed already, and answered it again.</summary>
    public long Repeated { get; set; }

    /// <summary>Calls that were executed more than once.</summary>
    public long Doubled { get; set; }

    /// <summary>Calls that were not acknowledged, and acknowledged calls that were never executed.</summary>
    public long Lost { get; set; }

    public long Made { get; private set; }

    public void End() => Duration = Stopwatch.GetElapsedTime(_begun);

    public void NoteCall()
    {
        lock (_lock) Made++;
    }

    public void NoteAcknowledgment(int silo, TimeSpan time)
    {
        lock (_lock)
        {
            Acknowledged++;
            BySilo[silo] = BySilo.GetValueOrDefault(silo) + 1;
            if (time > Longest) Longest = time;
        }
    }

    public void NoteCrossed()
    {
        lock (_lock) Crossed++;
    }

    public void NoteFailure(Exception error)
    {
        lock (_lock) Failures[error.GetType().Name] = Failures.GetValueOrDefault(error.GetType().Name) + 1;
    }
}
