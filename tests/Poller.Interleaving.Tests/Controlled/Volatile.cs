using System.Runtime.CompilerServices;

namespace Poller.Interleaving.Tests.Controlled;

/// <summary>Each operation is a scheduling point. The writer's later reads may overtake a write, as in x86-TSO.</summary>
public static class Volatile
{
    public static T Read<T>(
        ref T location,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(Read), what, file, line));
        return self is null ? location : self.Read(ref location);
    }

    public static void Write<T>(
        ref T location, T value,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(Write), what, file, line));
        T old = location;
        location = value;
        self?.Wrote(ref location, old);
        self?.TraceResult(old, value);
    }
}
