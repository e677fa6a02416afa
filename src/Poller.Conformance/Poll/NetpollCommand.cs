using FsCheck;
using FsCheck.Fluent;
using Poller.Abstractions;

namespace Poller.Conformance;

// The commands of a sequence. A command names its end by an index into the pool of channels. It is valid in every state: if there is
// nothing to do, it does nothing. So a sequence stays valid whatever is taken out of it, which lets a failure shrink.

/// <summary>One step of a sequence.</summary>
internal abstract record NetpollCommand
{
    /// <summary>Writes up to <paramref name="Count"/> bytes, in one call.</summary>
    internal sealed record Write(int End, int Count) : NetpollCommand;

    /// <summary>Writes until the call would block.</summary>
    internal sealed record Fill(int End) : NetpollCommand;

    /// <summary>Reads up to <paramref name="Count"/> bytes, in one call.</summary>
    internal sealed record Read(int End, int Count) : NetpollCommand;

    /// <summary>Reads until the call would block, or there is an end.</summary>
    internal sealed record Drain(int End) : NetpollCommand;

    /// <summary>shutdown(2) of one side.</summary>
    internal sealed record Shutdown(int End, PollMode Side) : NetpollCommand;

    /// <summary>Takes the end out of the poller, if it is in it, and closes it.</summary>
    internal sealed record Hangup(int End) : NetpollCommand;

    /// <summary>
    /// Takes both ends of the channel out of the poller, closes them, and creates a new channel under the same numbers. An end that was in
    /// the poller is put in again, under a new token.
    /// </summary>
    internal sealed record Renew(int End) : NetpollCommand;

    /// <summary><see cref="INetpoll.Open"/>, even if the end is already open.</summary>
    internal sealed record Open(int End) : NetpollCommand;

    /// <summary><see cref="INetpoll.Close"/>, even if the end is not open.</summary>
    internal sealed record Close(int End) : NetpollCommand;

    /// <summary><see cref="INetpoll.Arm"/>.</summary>
    internal sealed record Arm(int End, PollMode Mode) : NetpollCommand;

    /// <summary>A poll that does not block, or for a short time.</summary>
    internal sealed record Poll(int Room, int Microseconds) : NetpollCommand;

    /// <summary>A poll with a long time-out, if the model says that it must return at once.</summary>
    internal sealed record Await(int Room) : NetpollCommand;

    /// <summary>Polls without blocking until no events are left.</summary>
    internal sealed record Settle(int Room) : NetpollCommand;

    /// <summary><see cref="INetpoll.Break"/>, once or more.</summary>
    internal sealed record Break(int Times) : NetpollCommand;

    /// <summary>A poll with a long time-out that another thread breaks.</summary>
    internal sealed record BreakDuringPoll(int Room) : NetpollCommand;

    /// <summary>The longest sequence.</summary>
    public const int MaxLength = 200;

    /// <summary>Sequences of commands for a poller of one trigger, and how they shrink.</summary>
    public static Arbitrary<NetpollCommand[]> Sequences(PollTrigger trigger)
    {
        // Most sequences use few channels, so that enough happens to each of them. Half of the ends are open from the start.
        Gen<NetpollCommand[]> sequences =
            from channels in Gen.Shuffle(Enumerable.Range(0, NetpollModel.ChannelCount).ToArray())
            from used in Gen.Choose(1, NetpollModel.ChannelCount)
            let ends = channels[..used].SelectMany(channel => (int[])[2 * channel, 2 * channel + 1]).ToArray()
            from opened in Gen.SubListOf(ends)
            from length in Gen.Choose(1, MaxLength - opened.Count)
            from commands in Gen.ArrayOf(One(trigger, Gen.Elements(ends)), length)
            select (NetpollCommand[])[.. opened.Select(end => new Open(end)), .. commands];
        Func<NetpollCommand[], IEnumerable<NetpollCommand[]>> shrinker =
            Arb.Array(Arb.From(One(trigger, Gen.Constant(0)), Simpler)).Shrinker;
        return Arb.From(sequences, shrinker);
    }

    private static Gen<NetpollCommand> One(PollTrigger trigger, Gen<int> end)
    {
        Gen<int> room = Gen.Frequency((3, Gen.Choose(1, 3)), (1, Gen.Choose(4, 2 * NetpollModel.EndCount)));
        Gen<int> bytes = Gen.Frequency((4, Gen.Choose(1, 100)), (2, Gen.Choose(100, 20_000)), (1, Gen.Choose(20_000, 64 * 1024)));
        Gen<int> delay = Gen.Frequency((4, Gen.Constant(0)), (1, Gen.Choose(1, 2500)));
        Gen<PollMode> mode = Gen.Elements(PollMode.Read, PollMode.Write, PollMode.ReadWrite);
        int arm = trigger == PollTrigger.Level ? 40 : 0;
        return Gen.Frequency(
            (17, Of(end, bytes, (e, n) => new Write(e, n))),
            (6, Of(end, e => new Fill(e))),
            (8, Of(end, bytes, (e, n) => new Read(e, n))),
            (12, Of(end, e => new Drain(e))),
            (2, Of(end, e => new Shutdown(e, PollMode.Write))),
            (1, Of(end, e => new Shutdown(e, PollMode.Read))),
            (2, Of(end, e => new Hangup(e))),
            (4, Of(end, e => new Renew(e))),
            (10, Of(end, e => new Open(e))),
            (3, Of(end, e => new Close(e))),
            (arm, Of(end, mode, (e, m) => new Arm(e, m))),
            (14, Of(room, delay, (n, d) => new Poll(n, d))),
            (7, Of(room, n => new Await(n))),
            (4, Of(room, n => new Settle(n))),
            (4, Of(Gen.Choose(1, 3), n => new Break(n))),
            (3, Of(room, n => new BreakDuringPoll(n))));
    }

    private static Gen<NetpollCommand> Of<T>(Gen<T> argument, Func<T, NetpollCommand> make) => argument.Select(make);

    private static Gen<NetpollCommand> Of<T1, T2>(Gen<T1> first, Gen<T2> second, Func<T1, T2, NetpollCommand> make) =>
        from a in first from b in second select make(a, b);

    private static IEnumerable<NetpollCommand> Simpler(NetpollCommand command) => command switch
    {
        Write { Count: > 1 } write => [write with { Count = 1 }],
        Read { Count: > 1 } read => [read with { Count = 1 }],
        Poll { Microseconds: > 0 } poll => [poll with { Microseconds = 0 }],
        Break { Times: > 1 } => [new Break(1)],
        Renew renew => [new Hangup(renew.End)],
        Arm { Mode: PollMode.ReadWrite } arm => [arm with { Mode = PollMode.Read }, arm with { Mode = PollMode.Write }],
        _ => [],
    };
}
