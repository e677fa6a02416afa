using FsCheck;
using FsCheck.Fluent;

namespace Poller.Conformance;

/// <summary>One step of a sequence. It is valid in every state: if there is nothing to do, it does nothing.</summary>
internal abstract record FileCommand
{
    /// <summary>Begins an operation of an end. Before the next command it is over, or waits.</summary>
    internal sealed record Start(int End, FileCall Call, int Count, bool Blocking, bool HasToken) : FileCommand;

    /// <summary>A native library reads or writes by itself, and the poller does not know.</summary>
    internal sealed record Native(int End, int Count) : FileCommand;

    /// <summary>A native library fills the pipe.</summary>
    internal sealed record Fill : FileCommand;

    /// <summary>A native library reads all, and what comes then, until nobody waits to write.</summary>
    internal sealed record Drain : FileCommand;

    /// <summary>The deadline passes, or there is none any more.</summary>
    internal sealed record Deadline(int End, bool IsPast) : FileCommand;

    /// <summary>Cancels the token of a waiting operation.</summary>
    internal sealed record Cancel(int End, int Index) : FileCommand;

    internal sealed record Dispose(int End) : FileCommand;

    /// <summary>The longest sequence.</summary>
    public const int MaxLength = 60;

    /// <summary>Sequences of commands, and how they shrink.</summary>
    public static Arbitrary<FileCommand[]> Sequences { get; } = Arb.From(
        from length in Gen.Choose(1, MaxLength) from commands in Gen.ArrayOf(One(), length) select commands,
        Arb.Array(Arb.From(One(), Simpler)).Shrinker);

    private static Gen<FileCommand> One()
    {
        Gen<int> end = Gen.Choose(0, 1);
        Gen<bool> flag = Gen.Elements(true, false);
        Gen<FileCall> call = Gen.Elements(FileCall.Bytes, FileCall.Function, FileCall.Wait);
        Gen<int> count = Gen.Frequency((3, Gen.Choose(1, 10)), (1, Gen.Choose(1, FileModel.MaxWrite)));
        Gen<FileCommand> start =
            from e in end
            from c in call
            from n in count
            from b in flag
            from t in flag
            select (FileCommand)new Start(e, c, n, b, t && !b);
        return Gen.Frequency<FileCommand>(
            (40, start),
            (24, from e in end from n in count select (FileCommand)new Native(e, n)),
            (3, Gen.Constant<FileCommand>(new Fill())),
            (6, Gen.Constant<FileCommand>(new Drain())),
            (8, from e in end from p in flag select (FileCommand)new Deadline(e, p)),
            (6, from e in end from i in Gen.Choose(0, FileModel.MaxQueue - 1) select (FileCommand)new Cancel(e, i)),
            (1, end.Select(static e => (FileCommand)new Dispose(e))));
    }

    private static IEnumerable<FileCommand> Simpler(FileCommand command) => command switch
    {
        Start { Count: > 1 } start => [start with { Count = 1 }],
        Start { Blocking: true } start => [start with { Blocking = false }],
        Start { HasToken: true } start => [start with { HasToken = false }],
        Native { Count: > 1 } native => [native with { Count = 1 }],
        Cancel { Index: > 0 } cancel => [cancel with { Index = 0 }],
        _ => [],
    };
}
