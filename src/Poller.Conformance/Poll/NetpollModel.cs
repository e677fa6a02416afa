using System.Globalization;
using Poller.Abstractions;

namespace Poller.Conformance;

// The contract of INetpoll as a state machine. It does no I/O. The harness tells it what it did, what the result was, and what the kernel
// says about readiness (poll(2) on the descriptor itself). The model says what the next polls must, may and must not report.
//
// Must, edge-triggered: a direction that became ready, is still ready, and was not reported since. It becomes ready when bytes come
//   after there were none, when room comes after a write would have blocked, or when Open finds it ready. The peer's end is a separate edge
//   and comes with ReadHangup; otherwise a reader that takes a short read for "drained" would never learn of it.
// Must, level-triggered: a direction that is armed and ready.
// May, edge-triggered: any other direction of an open end, because edges may be spurious. Their number is limited, or loops would spin.
// Must not: a token that was never opened, or was closed; the wake-up's token; an event without a direction; a hang-up or an error that is
//   not there. Level-triggered: a direction that is not armed (delivery disarms it), or that is armed and not ready (a user that arms again
//   would spin).
// A poll that blocks returns nothing only after a Break or at the end of its time-out, and not earlier.

/// <summary>How a poll must end.</summary>
internal enum NetpollWait
{
    /// <summary>At once: its delay is 0.</summary>
    None,

    /// <summary>By its time-out, unless something ends it before.</summary>
    Short,

    /// <summary>By an event that is already due, or by another thread's Break.</summary>
    Long,
}

/// <summary>Says what must, may and must not be reported after everything that was done so far.</summary>
internal sealed class NetpollModel
{
    /// <summary>The size of the pool: two channels of each kind.</summary>
    public const int ChannelCount = 6;
    public const int EndCount = 2 * ChannelCount;

    /// <summary>How often one direction may be reported without a reason while the harness only polls.</summary>
    private const int Patience = 4;

    private const int SideCount = 2 * EndCount;

    private enum BreakState { None, Pending, PerhapsSeen }

    private readonly PollTrigger _trigger;
    private readonly NetpollEnd[] _ends = new NetpollEnd[EndCount];
    private readonly Dictionary<ulong, NetpollEnd> _open = [];
    private readonly Dictionary<ulong, string> _closed = [];
    private readonly uint[] _sequences = new uint[EndCount];
    private readonly int[] _spurious = new int[SideCount];
    private BreakState _break;
    private string _command = "";

    public NetpollModel(PollTrigger trigger)
    {
        _trigger = trigger;
        for (int channel = 0; channel < ChannelCount; channel++) Make(channel);
    }

    public IReadOnlyList<NetpollEnd> Ends => _ends;

    /// <summary>Whether a Break must end the next poll that blocks.</summary>
    public bool BreakIsPending => _break == BreakState.Pending;

    /// <summary>Whether a poll that blocks must return.</summary>
    public bool MustReturn => BreakIsPending || IsDue(null);

    /// <summary>Whether an event over TCP, which may come late, must still be reported.</summary>
    public bool IsDueOverTcp => IsDue(ChannelKind.Tcp);

    /// <summary>Names the next command, for the reasons that the model gives.</summary>
    public void Begin(int number, string command)
    {
        _command = string.Create(CultureInfo.InvariantCulture, $"command {number}, {command}");
        Array.Clear(_spurious);
    }

    /// <summary>Notes that a channel is new: the first one, or a replacement for a closed one.</summary>
    public void Make(int channel)
    {
        NetpollEnd a = new(2 * channel, (ChannelKind)(channel / 2)), b = new(2 * channel + 1, (ChannelKind)(channel / 2));
        (a.Peer, b.Peer) = (b, a);
        (_ends[a.Index], _ends[b.Index]) = (a, b);
    }

    /// <summary>The token under which the end would be registered next.</summary>
    public PollToken NextToken(NetpollEnd end) => new((uint)end.Index, _sequences[end.Index] + 1);

    /// <summary>Notes that the end was opened under <see cref="NextToken"/>. The kernel has just been asked.</summary>
    public void Opened(NetpollEnd end)
    {
        PollToken token = NextToken(end);
        _sequences[end.Index]++;
        end.Token = token;
        _open.Add(token.Value, end);
        end.Read.IsArmed = end.Write.IsArmed = false;
        end.Write.IsBlocked = !end.Write.IsReady;
        if (end.CanRead && end.Read.IsReady) Owe(end.Read);
        if (end.CanWrite && end.Write.IsReady) Owe(end.Write);

        // The end of the bytes need not be reported if this side itself has shut down its reading.
        end.HangupIsOwed = _trigger == PollTrigger.Edge && end.CanRead && end.HasEnd && !end.ReadIsShut;
    }

    public void Closed(NetpollEnd end)
    {
        if (end.Token is not { } token) throw new InvalidOperationException($"{end} is not open");
        _open.Remove(token.Value);
        _closed[token.Value] = $"{end} closed it at {_command}";
        end.Token = null;
        end.HangupIsOwed = end.Read.IsOwed = end.Write.IsOwed = end.Read.IsArmed = end.Write.IsArmed = false;
    }

    public void Armed(NetpollEnd end, PollMode mode)
    {
        if ((mode & PollMode.Read) != 0) Arm(end.Read);
        if ((mode & PollMode.Write) != 0) Arm(end.Write);

        void Arm(NetpollSide side)
        {
            if (!side.IsArmed) side.Since = _command;
            side.IsArmed = true;
        }
    }

    public void ShutWrite(NetpollEnd end)
    {
        end.WriteIsShut = true;
        EndReachesPeer(end);
    }

    /// <summary>Notes that the descriptor is closed.</summary>
    public void Vanished(NetpollEnd end)
    {
        if (end.Token is not null) throw new InvalidOperationException($"{end} is open still");
        end.IsClosed = true;
        EndReachesPeer(end);

        // TCP answers with a reset if nobody will read the bytes.
        if (end is { Kind: ChannelKind.Tcp, Waiting: > 0 } && !end.ReadIsShut) end.Peer.IsReset = true;
    }

    public void Broke() => _break = BreakState.Pending;

    /// <summary>Notes what the kernel now says about an end.</summary>
    public void Observe(NetpollEnd end, PollMode ready)
    {
        bool readable = (ready & PollMode.Read) != 0, writable = (ready & PollMode.Write) != 0;
        NetpollSide read = end.Read, write = end.Write;
        if (!readable) read.IsOwed = false;
        else if (!read.IsReady && end.CanRead && end.Token is not null) Owe(read);
        read.IsReady = readable;

        if (!writable) write.IsOwed = false;
        else if (write.IsBlocked && end is { CanWrite: true, WriteIsShut: false })
        {
            write.IsBlocked = false;
            if (end.Token is not null) Owe(write);
        }
        write.IsReady = writable;
    }

    /// <summary>Notes that a poll begins.</summary>
    public void Polling()
    {
        foreach (NetpollEnd end in _ends)
        {
            end.Read.WasReady = end.Read.IsReady;
            end.Write.WasReady = end.Write.IsReady;
        }
    }

    /// <summary>Notes that a poll is over and the kernel was asked again. Returns what is wrong with that, or null.</summary>
    /// <param name="events">The events that it reported.</param>
    /// <param name="wait">How the poll had to end.</param>
    /// <param name="timedOut">Whether its time-out had passed.</param>
    /// <param name="breakCame">Whether another thread had called Break by then.</param>
    public string? Polled(ReadOnlySpan<PollEvent> events, NetpollWait wait, bool timedOut, bool breakCame)
    {
        if (events.IsEmpty)
        {
            // Over TCP an event that is due may still be on its way from the kernel to the poller. Settle waits for it.
            string? due = Dues(end => end.Kind != ChannelKind.Tcp || wait == NetpollWait.Long).FirstOrDefault();
            if (wait == NetpollWait.None) return due is null ? null : $"a poll that does not block reported nothing, and {due}";

            // If one Break came before and one during the poll, the second may still be pending.
            BreakState before = breakCame ? BreakState.Pending : _break;
            bool mayBeLeft = breakCame ? _break != BreakState.None : timedOut && before == BreakState.Pending;
            _break = mayBeLeft ? BreakState.PerhapsSeen : BreakState.None;
            if (before == BreakState.None && !timedOut)
            {
                return "a poll returned nothing before its time-out, and nobody had called Break" + (due is null ? "" : $"; {due}");
            }
            if (wait == NetpollWait.Long && timedOut)
            {
                return before == BreakState.Pending ? "a poll waited its whole time-out for a Break that was called"
                    : due is null ? null
                    : $"a poll waited its whole time-out, and {due}";
            }
            return before == BreakState.None && due is not null ? $"a poll reported nothing, and {due}" : null;
        }

        if (wait != NetpollWait.None && (breakCame || _break == BreakState.Pending)) _break = BreakState.PerhapsSeen;
        foreach (PollEvent e in events)
        {
            if (Reported(e) is { } fault) return fault;
        }
        return null;
    }

    /// <summary>Notes that polls report nothing more. Returns an event that is still due, and so was lost, or null.</summary>
    public string? Settled() => Dues(_ => true).FirstOrDefault() is { } due ? $"polls report nothing more, and {due}" : null;

    /// <summary>The events that must be reported next, each with its reason.</summary>
    public IEnumerable<string> Dues(Func<NetpollEnd, bool> counts)
    {
        foreach (NetpollEnd end in _ends.Where(e => e.Token is not null && counts(e)))
        {
            if (IsDue(end.Read, end.CanRead)) yield return Due("Readable", end.Read);
            if (IsDue(end.Write, end.CanWrite)) yield return Due("Writable", end.Write);
            if (end.HangupIsDue) yield return Due("Readable with ReadHangup", end.Read);

            string Due(string what, NetpollSide side) =>
                $"{what} of {end} under {end.Token} must be reported, "
                + (_trigger == PollTrigger.Edge ? "an edge since " : "ready, and armed since ") + side.Since;
        }
    }

    /// <summary>The three sets, one line for each.</summary>
    public string Describe()
    {
        List<string> may = [], notArmed = [], notReady = [];
        foreach (NetpollEnd end in _ends.Where(e => e.Token is not null))
        {
            (NetpollSide Side, string Name, bool Can)[] sides =
                [(end.Read, "Readable", end.CanRead), (end.Write, "Writable", end.CanWrite)];
            foreach ((NetpollSide side, string name, bool can) in sides)
            {
                if (IsDue(side, can)) continue;
                bool mayCome = _trigger == PollTrigger.Edge || side is { IsArmed: true, IsReady: true };
                List<string> set = mayCome ? may : side.IsArmed ? notReady : notArmed;
                set.Add($"{name} of {end}");
            }
        }
        List<string> mustNot = [];
        if (notArmed.Count > 0) mustNot.Add("not armed: " + string.Join(", ", notArmed));
        if (notReady.Count > 0) mustNot.Add("not ready: " + string.Join(", ", notReady));
        mustNot.AddRange(_closed.TakeLast(8).Select(closed => $"{new PollToken(closed.Key)}: {closed.Value}"));
        mustNot.Add("any token that was never opened");
        return $"must:     {Lines(Dues(_ => true))}\nmay:      {string.Join(", ", may)}\nmust not: {Lines(mustNot)}\nBreak:    {_break}";

        static string Lines(IEnumerable<string> lines) => string.Join("\n          ", lines);
    }

    private string? Reported(PollEvent e)
    {
        if (!_open.TryGetValue(e.Token.Value, out NetpollEnd? end))
        {
            string why = _closed.TryGetValue(e.Token.Value, out string? closed) ? closed
                : e.Token == PollToken.Wakeup ? "it is the poller's own wake-up"
                : "it was never opened";
            return $"{e.Readiness} was reported under {e.Token}, which must not be: {why}";
        }

        bool readable = (e.Readiness & PollReadiness.Readable) != 0, writable = (e.Readiness & PollReadiness.Writable) != 0;
        if (!readable && !writable) return $"{Of()} must not be reported: an event without a direction wakes nobody";
        if ((e.Readiness & PollReadiness.ReadHangup) != 0)
        {
            if (!end.MayHangUp) return $"{Of()} must not be reported: there is neither an end nor an error";
            if (readable) end.HangupIsOwed = false;
        }
        if ((e.Readiness & PollReadiness.Error) != 0 && !end.MayHangUp) return $"{Of()} must not be reported: there is no error";
        return (readable ? Deliver(end.Read, PollReadiness.Readable, 2 * end.Index) : null)
            ?? (writable ? Deliver(end.Write, PollReadiness.Writable, 2 * end.Index + 1) : null);

        string Of() => $"{e.Readiness} of {end} under {e.Token}";

        string? Deliver(NetpollSide side, PollReadiness direction, int number)
        {
            if (_trigger == PollTrigger.Level)
            {
                if (!side.IsArmed) return $"{direction} of {end} under {e.Token} must not be reported: it is not armed";
                if (!side.WasReady && !side.IsReady) return $"{direction} of {end} under {e.Token} must not be reported: it is not ready";
                side.IsArmed = false;
                return null;
            }

            if (!side.IsOwed && ++_spurious[number] > Patience)
            {
                return $"{direction} of {end} under {e.Token} was reported {Patience + 1} times without a new edge: a loop would spin";
            }
            side.IsOwed = false;
            if (side.IsReady) side.IsBlocked = false;
            return null;
        }
    }

    private bool IsDue(ChannelKind? kind)
    {
        foreach (NetpollEnd end in _ends)
        {
            if (end.Token is null || (kind is not null && end.Kind != kind)) continue;
            if (end.HangupIsDue || IsDue(end.Read, end.CanRead) || IsDue(end.Write, end.CanWrite)) return true;
        }
        return false;
    }

    private bool IsDue(NetpollSide side, bool can) => can && (_trigger == PollTrigger.Edge ? side.IsOwed : side.IsArmed && side.IsReady);

    private void Owe(NetpollSide side)
    {
        if (_trigger == PollTrigger.Level) return;
        if (!side.IsOwed) side.Since = _command;
        side.IsOwed = true;
    }

    private void EndReachesPeer(NetpollEnd end)
    {
        NetpollEnd peer = end.Peer;
        if (peer.IsClosed || peer.HasEnd) return;
        peer.HasEnd = true;
        peer.HangupIsOwed = _trigger == PollTrigger.Edge && peer.Token is not null && peer.CanRead;
        if (peer.HangupIsOwed && !peer.Read.IsOwed) peer.Read.Since = _command;
    }
}
