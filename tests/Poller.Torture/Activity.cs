using System.Collections.Concurrent;
using System.Diagnostics;

namespace Poller.Torture;

/// <summary>One sequence of steps, and the step that it awaits now: what a dump shows of it. One at a time writes.</summary>
internal sealed class Activity(string name)
{
    private string _awaits = "its begin";
    private long _position;
    private long _since = Stopwatch.GetTimestamp();
    private bool _isWatched = true;

    public TimeSpan Lasts => Stopwatch.GetElapsedTime(Volatile.Read(ref _since));

    /// <summary>It begins a step.</summary>
    /// <param name="step">What it awaits from now on.</param>
    /// <param name="position">Where in its stream that is.</param>
    public void Awaits(string step, long position = 0) => Begin(step, position, isWatched: true);

    /// <summary>It begins to wait for other activities, which are watched themselves. So this may last.</summary>
    public void AwaitsOthers(string step) => Begin(step, 0, isWatched: false);

    public bool IsStuck(TimeSpan patience) => Volatile.Read(ref _isWatched) && Lasts > patience;

    public override string ToString() =>
        $"{name} awaits {Volatile.Read(ref _awaits)} at {Volatile.Read(ref _position)}, for {Lasts.TotalSeconds:F1} s";

    private void Begin(string step, long position, bool isWatched)
    {
        Volatile.Write(ref _isWatched, isWatched);
        Volatile.Write(ref _position, position);
        Volatile.Write(ref _awaits, step);
        Volatile.Write(ref _since, Stopwatch.GetTimestamp());
    }
}

/// <summary>All activities, and the watchdog: one that stays in a step for <see cref="Patience"/> is stuck.</summary>
internal sealed class Activities
{
    /// <summary>How long a step may last.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<Activity, byte> _all = new();

    public Activity Begin(string name)
    {
        Activity activity = new(name);
        _all[activity] = 0;
        return activity;
    }

    public void End(Activity activity) => _all.TryRemove(activity, out _);

    /// <summary>One that is stuck; null if none is.</summary>
    public Activity? FindStuck() => _all.Keys.FirstOrDefault(static activity => activity.IsStuck(Patience));

    /// <summary>What each awaits, the longest first.</summary>
    public IEnumerable<string> Dump() => _all.Keys.OrderByDescending(static activity => activity.Lasts).Select(static a => a.ToString());
}
