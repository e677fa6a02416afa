using System.Collections.Concurrent;
using System.Diagnostics;

namespace Poller.Torture;

/// <summary>One sequence of steps, and the step that it awaits now: what a dump shows of it. One at a time writes.</summary>
internal sealed class Activity(Activities all, string name)
{
    private string _awaits = "its begin";
    private long _position;
    private long _since = Stopwatch.GetTimestamp();
    private long _look = all.Looks;
    private bool _isWatched = true;
    private Func<string>? _system;

    public TimeSpan Lasts => Stopwatch.GetElapsedTime(Volatile.Read(ref _since));

    /// <summary>It begins a step.</summary>
    /// <param name="step">What it awaits from now on.</param>
    /// <param name="position">Where in its stream that is.</param>
    public void Awaits(string step, long position = 0) => Begin(step, position, isWatched: true);

    /// <summary>It begins to wait for other activities, which are watched themselves. So this may last.</summary>
    public void AwaitsOthers(string step) => Begin(step, 0, isWatched: false);

    /// <summary>Whether its step has lasted for more than so many looks.</summary>
    public bool IsStuck(long looks) => Volatile.Read(ref _isWatched) && all.Looks - Volatile.Read(ref _look) > looks;

    /// <summary>
    /// What the system says of the descriptor that its steps use: it tells a lost wake-up from a system that has nothing to tell.
    /// </summary>
    public void Uses(Func<string> system) => Volatile.Write(ref _system, system);

    public override string ToString() =>
        $"{name} awaits {Volatile.Read(ref _awaits)} at {Volatile.Read(ref _position)}, for {Lasts.TotalSeconds:F1} s{System()}";

    private string System() => Volatile.Read(ref _system) is { } system ? $" ({system()})" : "";

    private void Begin(string step, long position, bool isWatched)
    {
        Volatile.Write(ref _isWatched, isWatched);
        Volatile.Write(ref _position, position);
        Volatile.Write(ref _awaits, step);
        Volatile.Write(ref _since, Stopwatch.GetTimestamp());
        Volatile.Write(ref _look, all.Looks);
    }
}

/// <summary>
/// All activities, and the watchdog: one that stays in a step for 30 s is stuck. It counts its own looks, ten a second, so a process that
/// gets little of the processor is not taken to be stuck.
/// </summary>
internal sealed class Activities
{
    private const int LooksPerSecond = 10;

    /// <summary>How long a step may last.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<Activity, byte> _all = new();
    private long _looks;

    /// <summary>How often the watchdog has looked.</summary>
    public long Looks => Volatile.Read(ref _looks);

    public Activity Begin(string name)
    {
        Activity activity = new(this, name);
        _all[activity] = 0;
        return activity;
    }

    public void End(Activity activity) => _all.TryRemove(activity, out _);

    /// <summary>Looks, on a thread of its own, until one is stuck or <paramref name="isOver"/>.</summary>
    public void Watch(Func<bool> isOver, Action<Activity> fail)
    {
        new Thread(() =>
        {
            while (!isOver())
            {
                Thread.Sleep(1000 / LooksPerSecond);
                Look();
                if (FindStuck((long)(Patience.TotalSeconds * LooksPerSecond)) is not { } stuck) continue;
                fail(stuck);
                return;
            }
        })
        { IsBackground = true, Name = "watchdog" }.Start();
    }

    public void Look() => Interlocked.Increment(ref _looks);

    /// <summary>One whose step has lasted for more than so many looks; null if none has.</summary>
    public Activity? FindStuck(long looks) => _all.Keys.FirstOrDefault(activity => activity.IsStuck(looks));

    /// <summary>What each awaits, the longest first.</summary>
    public IEnumerable<string> Dump() => _all.Keys.OrderByDescending(static activity => activity.Lasts).Select(static a => a.ToString());
}
