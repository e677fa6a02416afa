using System.Runtime.CompilerServices;

namespace Poller.Interleaving.Tests.Controlled;

/// <summary>Each operation is a scheduling point and a full fence.</summary>
public static class Interlocked
{
    public static T CompareExchange<T>(
        ref T location, T value, T comparand,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(CompareExchange), what, file, line));
        T old = location;
        if (EqualityComparer<T>.Default.Equals(old, comparand)) Replace(self, ref location, old, value);
        self?.Fence();
        self?.TraceResult(old, location);
        return old;
    }

    public static T Exchange<T>(
        ref T location, T value,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(Exchange), what, file, line));
        T old = location;
        Replace(self, ref location, old, value);
        self?.Fence();
        self?.TraceResult(old, value);
        return old;
    }

    public static ulong Or(
        ref ulong location, ulong value,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(Or), what, file, line));
        ulong old = location;
        Replace(self, ref location, old, old | value);
        self?.Fence();
        self?.TraceResult(old, location);
        return old;
    }

    public static ulong And(
        ref ulong location, ulong value,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(And), what, file, line));
        ulong old = location;
        Replace(self, ref location, old, old & value);
        self?.Fence();
        self?.TraceResult(old, location);
        return old;
    }

    public static int Increment(
        ref int location,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        => Add(ref location, 1, what, file, line);

    public static int Decrement(
        ref int location,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        => Add(ref location, -1, what, file, line);

    public static long Increment(
        ref long location,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        => Add(ref location, 1, what, file, line);

    public static long Add(
        ref long location,
        long value,
        [CallerArgumentExpression(nameof(location))] string what = "", [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        => Add<long>(ref location, value, what, file, line);

    public static void MemoryBarrier([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        ControlledThread.Step(new Site(nameof(MemoryBarrier), "", file, line))?.Fence();

    private static T Add<T>(ref T location, T value, string what, string file, int line)
        where T : System.Numerics.INumber<T>
    {
        ControlledThread? self = ControlledThread.Step(new Site(nameof(Add), what, file, line));
        T old = location;
        Replace(self, ref location, old, old + value);
        self?.Fence();
        self?.TraceResult(old, location);
        return location;
    }

    private static void Replace<T>(ControlledThread? self, ref T location, T old, T value)
    {
        location = value;
        self?.Wrote(ref location, old);
    }
}
