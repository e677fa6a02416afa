using FsCheck;
using FsCheck.Fluent;
using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>One step of a sequence. It is valid in every state: if there is nothing to do, it does nothing.</summary>
internal abstract record PacketCommand
{
    /// <summary>Begins a receive of any kind. Before the next command it is over, or waits.</summary>
    internal sealed record Receive(int End, PacketCall Call, int Size, bool Blocking, bool HasToken) : PacketCommand;

    /// <summary>Sends a packet.</summary>
    internal sealed record Send(int End, int Size, bool Blocking) : PacketCommand;

    /// <summary>The deadline passes, or there is none any more.</summary>
    internal sealed record Deadline(int End, PollMode Mode, bool IsPast) : PacketCommand;

    /// <summary>Cancels the token of a waiting receive.</summary>
    internal sealed record Cancel(int End, int Index) : PacketCommand;

    /// <summary>The longest sequence.</summary>
    public const int MaxLength = 60;

    /// <summary>Sequences of commands, and how they shrink.</summary>
    public static Arbitrary<PacketCommand[]> Sequences { get; } = Arb.From(
        from length in Gen.Choose(1, MaxLength) from commands in Gen.ArrayOf(One(), length) select commands,
        Arb.Array(Arb.From(One(), Simpler)).Shrinker);

    private static Gen<PacketCommand> One()
    {
        Gen<int> end = Gen.Choose(0, 1);
        Gen<bool> flag = Gen.Elements(true, false);
        Gen<PacketCall> call = Gen.Elements(PacketCall.Read, PacketCall.Message, PacketCall.Wait);
        Gen<int> size = Gen.Frequency((4, Gen.Choose(0, 12)), (1, Gen.Choose(0, PacketModel.MaxSize)));
        Gen<PacketCommand> receive =
            from e in end
            from c in call
            from s in size
            from b in flag
            from t in flag
            select (PacketCommand)new Receive(e, c, c == PacketCall.Wait ? 0 : Math.Max(s, 1), b, t && !b);
        Gen<PollMode> mode = Gen.Elements(PollMode.Read, PollMode.Write);
        return Gen.Frequency<PacketCommand>(
            (30, receive),
            (30, from e in end from s in size from b in flag select (PacketCommand)new Send(e, s, b)),
            (8, from e in end from m in mode from p in flag select (PacketCommand)new Deadline(e, m, p)),
            (6, from e in end from i in Gen.Choose(0, PacketModel.MaxQueue - 1) select (PacketCommand)new Cancel(e, i)));
    }

    private static IEnumerable<PacketCommand> Simpler(PacketCommand command) => command switch
    {
        Receive { Size: > 1 } receive => [receive with { Size = 1 }],
        Receive { Blocking: true } receive => [receive with { Blocking = false }],
        Receive { HasToken: true } receive => [receive with { HasToken = false }],
        Send { Size: > 1 } send => [send with { Size = 1 }],
        Send { Blocking: true } send => [send with { Blocking = false }],
        Cancel { Index: > 0 } cancel => [cancel with { Index = 0 }],
        _ => [],
    };
}
