using FsCheck;
using FsCheck.Fluent;
using Poller.Abstractions;

namespace Poller.Conformance;

// The commands of a sequence. A command is valid in every state: if there is nothing to do, it does nothing. So a sequence stays valid
// whatever is taken out of it, which lets a failure shrink.

/// <summary>The token of an async operation.</summary>
internal enum ConnToken
{
    None,

    /// <summary>A token that a later command may cancel.</summary>
    Live,

    /// <summary>A token that was already cancelled.</summary>
    Cancelled,
}

/// <summary>One step of a sequence.</summary>
internal abstract record ConnCommand
{
    /// <summary>Begins a read of any kind. Before the next command it is over, or waits.</summary>
    internal sealed record Read(int End, ConnCall Call, int Count, bool Blocking, ConnToken Token) : ConnCommand;

    /// <summary>Begins a write of any kind.</summary>
    internal sealed record Write(int End, ConnCall Call, int Count, bool Blocking, ConnToken Token) : ConnCommand;

    /// <summary>Reads until nothing is left.</summary>
    internal sealed record Drain(int End, bool Blocking) : ConnCommand;

    /// <summary>Sets one deadline or both; null clears.</summary>
    internal sealed record SetDeadline(int End, PollMode Mode, ConnDeadline? When) : ConnCommand;

    /// <summary>Sets ReadTimeout or WriteTimeout; null means infinite.</summary>
    internal sealed record SetTimeout(int End, PollMode Mode, ConnDeadline? Span) : ConnCommand;

    /// <summary>Cancels the token of a waiting operation.</summary>
    internal sealed record Cancel(int End, PollMode Mode, int Index) : ConnCommand;

    internal sealed record CloseRead(int End) : ConnCommand;

    internal sealed record CloseWrite(int End) : ConnCommand;

    internal sealed record Flush(int End, bool Blocking) : ConnCommand;

    internal sealed record Dispose(int End) : ConnCommand;

    /// <summary>The longest sequence.</summary>
    public const int MaxLength = 80;

    /// <summary>More than the kernel's buffers hold in most cases.</summary>
    private const int Huge = 5 << 20;

    /// <summary>Sequences of commands, and how they shrink.</summary>
    public static Arbitrary<ConnCommand[]> Sequences { get; } = Arb.From(
        from length in Gen.Choose(1, MaxLength) from commands in Gen.ArrayOf(One(), length) select commands,
        Arb.Array(Arb.From(One(), Simpler)).Shrinker);

    private static Gen<ConnCommand> One()
    {
        Gen<int> end = Gen.Choose(0, 1);
        Gen<bool> blocking = Gen.Elements(true, false);
        Gen<ConnToken> token = Gen.Frequency(
            (5, Gen.Constant(ConnToken.None)), (4, Gen.Constant(ConnToken.Live)), (1, Gen.Constant(ConnToken.Cancelled)));
        Gen<int> some = Gen.Frequency((5, Gen.Choose(1, 100)), (3, Gen.Choose(100, 20_000)), (1, Gen.Choose(20_000, 300_000)));
        Gen<int> more = Gen.Frequency((30, some), (1, Gen.Constant(0)), (1, Gen.Constant(Huge)));
        Gen<ConnCall> read = Gen.Frequency(
            (8, Gen.Constant(ConnCall.Read)), (2, Gen.Constant(ConnCall.ReadArray)), (1, Gen.Constant(ConnCall.BeginRead)),
            (2, Gen.Constant(ConnCall.ReadByte)), (2, Gen.Constant(ConnCall.ReadNothing)), (3, Gen.Constant(ConnCall.WaitToRead)),
            (2, Gen.Constant(ConnCall.ReadExactly)), (1, Gen.Constant(ConnCall.CopyTo)));
        Gen<ConnCall> write = Gen.Frequency(
            (8, Gen.Constant(ConnCall.Write)), (2, Gen.Constant(ConnCall.WriteArray)), (1, Gen.Constant(ConnCall.BeginWrite)),
            (2, Gen.Constant(ConnCall.WriteByte)));
        Gen<PollMode> mode = Gen.Elements(PollMode.Read, PollMode.Write);
        Gen<PollMode> modes = Gen.Elements(PollMode.Read, PollMode.Write, PollMode.ReadWrite);
        Gen<ConnDeadline?> deadline = Gen.Elements<ConnDeadline?>(null, ConnDeadline.Far, ConnDeadline.Soon, ConnDeadline.Past);
        Gen<ConnDeadline?> span = Gen.Elements<ConnDeadline?>(null, null, ConnDeadline.Far, ConnDeadline.Soon);
        Gen<ConnCommand> reads =
            from e in end
            from c in read
            from n in some
            from b in blocking
            from t in token
            select (ConnCommand)Make(new Read(e, c, n, b, t));
        Gen<ConnCommand> writes =
            from e in end
            from c in write
            from n in more
            from b in blocking
            from t in token
            select (ConnCommand)Make(new Write(e, c, n, b, t));
        return Gen.Frequency<ConnCommand>(
            (28, reads),
            (26, writes),
            (8, from e in end from b in blocking select (ConnCommand)new Drain(e, b)),
            (10, from e in end from m in modes from d in deadline select (ConnCommand)new SetDeadline(e, m, d)),
            (3, from e in end from m in mode from s in span select (ConnCommand)new SetTimeout(e, m, s)),
            (8, from e in end from m in mode from i in Gen.Choose(0, ConnModel.MaxQueue - 1) select (ConnCommand)new Cancel(e, m, i)),
            (1, end.Select(e => (ConnCommand)new CloseRead(e))),
            (2, end.Select(e => (ConnCommand)new CloseWrite(e))),
            (1, from e in end from b in blocking select (ConnCommand)new Flush(e, b)),
            (1, end.Select(e => (ConnCommand)new Dispose(e))));
    }

    // Only some of the calls have a count, and take a token.
    private static Read Make(Read read) => read with
    {
        Count = read.Call is ConnCall.ReadByte ? 1
            : read.Call is ConnCall.ReadNothing or ConnCall.WaitToRead or ConnCall.CopyTo ? 0
            : read.Count,
        Blocking = read.Blocking ? read.Call is not ConnCall.BeginRead : read.Call is ConnCall.ReadByte,
        Token = read.Blocking || read.Call is ConnCall.ReadByte or ConnCall.BeginRead or ConnCall.CopyTo ? ConnToken.None : read.Token,
    };

    private static Write Make(Write write) => write with
    {
        Count = write.Call is ConnCall.WriteByte ? 1 : write.Count,
        Blocking = write.Blocking ? write.Call is not ConnCall.BeginWrite : write.Call is ConnCall.WriteByte,
        Token = write.Blocking || write.Call is ConnCall.WriteByte or ConnCall.BeginWrite ? ConnToken.None : write.Token,
    };

    private static IEnumerable<ConnCommand> Simpler(ConnCommand command) => command switch
    {
        Read { Count: > 1 } read => [read with { Count = 1 }],
        Read { Call: not ConnCall.Read } read => [Make(new Read(read.End, ConnCall.Read, 1, read.Blocking, read.Token))],
        Read { Blocking: true } read => [read with { Blocking = false }],
        Read { Token: not ConnToken.None } read => [read with { Token = ConnToken.None }],
        Write { Count: > 1 } write => [write with { Count = 1 }],
        Write { Call: not ConnCall.Write } write => [write with { Call = ConnCall.Write }],
        Write { Blocking: true } write => [write with { Blocking = false }],
        Write { Token: not ConnToken.None } write => [write with { Token = ConnToken.None }],
        SetDeadline { Mode: PollMode.ReadWrite } set => [set with { Mode = PollMode.Read }, set with { Mode = PollMode.Write }],
        Cancel { Index: > 0 } cancel => [cancel with { Index = 0 }],
        _ => [],
    };
}
