using System.Globalization;
using System.Net;
using System.Text;

namespace Poller.Conformance;

// The contract of packets as a state machine: two sockets, each the other's peer, with a queue of packets in each direction. It does no I/O.
// The harness tells it what was done, and the model says how each receive must end.
//
// A receive takes one packet, with its borders; what the buffer has no room for is lost. A packet of 0 bytes is one. A message tells whether
// its packet was cut, and who sent it. No packet is lost, doubled or overtaken: so few are under way that every system's buffers hold them,
// over the loopback too. Control data, and with it descriptors that are passed, stands in facts of its own.

/// <summary>How an operation ends.</summary>
[Flags]
internal enum PacketOutcomes
{
    None = 0,
    Done = 1,
    Timeout = 2,
    Canceled = 4,

    /// <summary>The socket was closed on this side during the operation.</summary>
    Closed = 8,
}

/// <summary>The forms of a receive.</summary>
internal enum PacketCall
{
    Read,
    Message,
    Wait,
}

/// <summary>A receive that is not over yet.</summary>
internal sealed class PacketOp(PacketEnd end, PacketCall call, int count)
{
    public PacketEnd End => end;
    public PacketCall Call => call;

    /// <summary>The length of its buffer.</summary>
    public int Count => count;

    /// <summary>How it must have ended by now; None if it waits.</summary>
    public PacketOutcomes Allowed { get; set; }

    /// <summary>Whether it must be over.</summary>
    public bool Must => Allowed != PacketOutcomes.None;

    public bool IsCanceled { get; set; }

    public override string ToString() => $"{Call}({Count}): " + (Must ? $"must be over, by {Allowed}" : "waits");
}

/// <summary>One socket.</summary>
internal sealed class PacketEnd(string name)
{
    public PacketEnd Peer { get; set; } = null!;

    /// <summary>Its address, which the receiver of a message is told; null if the network tells none.</summary>
    public EndPoint? Address { get; set; }

    public bool IsDisposed { get; set; }
    public bool ReadDeadlineIsPast { get; set; }
    public bool WriteDeadlineIsPast { get; set; }

    /// <summary>Its receives in the order in which they began; the first one is under way.</summary>
    public List<PacketOp> Ops { get; } = [];

    /// <summary>The packets on their way here, the first one first.</summary>
    public Queue<byte[]> Packets { get; } = new();

    public override string ToString() => name;
}

/// <summary>Says how the receives of two sockets must end, after everything that was done so far.</summary>
internal sealed class PacketModel
{
    /// <summary>The largest packet.</summary>
    public const int MaxSize = 1000;

    /// <summary>The maximum number of receives at one end.</summary>
    public const int MaxQueue = 3;

    // Linux's queue of a Unix datagram socket has room for ten, and one more for each that it has begun.
    private const int MaxPackets = 8;

    private readonly bool _tellsEnd;

    /// <param name="tellsEnd">Whether a receive learns that the peer has closed, and comes to 0 bytes, as over a connection.</param>
    public PacketModel(bool tellsEnd)
    {
        _tellsEnd = tellsEnd;
        PacketEnd one = new("first"), other = new("second");
        (one.Peer, other.Peer) = (other, one);
        Ends = [one, other];
    }

    public IReadOnlyList<PacketEnd> Ends { get; }

    /// <summary>Whether the system has room for a packet for sure.</summary>
    public static bool CanSend(PacketEnd end) => end.Peer.Packets.Count < MaxPackets;

    /// <summary>Whether a receive may begin.</summary>
    public static bool CanBegin(PacketEnd end) => end.Ops.Count < MaxQueue;

    /// <summary>Notes that a receive begins, or queues.</summary>
    public static PacketOp Begin(PacketEnd end, PacketCall call, int count)
    {
        PacketOp op = new(end, call, count);
        end.Ops.Add(op);
        return op;
    }

    /// <summary>Computes how each receive must end.</summary>
    public void Evaluate()
    {
        foreach (PacketEnd end in Ends)
        {
            foreach (PacketOp op in end.Ops)
            {
                op.Allowed =
                    end.IsDisposed ? PacketOutcomes.Closed
                    : op.IsCanceled ? PacketOutcomes.Canceled
                    : end.ReadDeadlineIsPast ? PacketOutcomes.Timeout
                    : op == end.Ops[0] && (end.Packets.Count > 0 || HasEnded(end)) ? PacketOutcomes.Done
                    : PacketOutcomes.None;
            }
        }
    }

    /// <summary>Notes that a receive is over. Returns what is wrong with that, or null.</summary>
    /// <param name="op">The receive.</param>
    /// <param name="outcome">Its outcome.</param>
    /// <param name="bytes">What it has received.</param>
    /// <param name="isTruncated">Whether it said that the packet was cut; null if it does not tell.</param>
    /// <param name="sender">Who it said had sent the packet; null if it does not tell.</param>
    public static string? Complete(PacketOp op, PacketOutcomes outcome, ReadOnlySpan<byte> bytes, bool? isTruncated, EndPoint? sender)
    {
        op.End.Ops.Remove(op);
        if (op.Allowed != outcome)
        {
            string expected = op.Must ? $"{op.Allowed} was expected" : "it was expected to wait";
            return $"{op.Call} of the {op.End} came to {outcome}; {expected}";
        }
        if (outcome != PacketOutcomes.Done || op.Call == PacketCall.Wait) return null;
        if (!op.End.Packets.TryDequeue(out byte[]? packet)) packet = []; // The end is like a packet of 0 bytes.
        int count = Math.Min(packet.Length, op.Count);
        if (!bytes.SequenceEqual(packet.AsSpan(0, count)))
        {
            return $"{op.Call} of the {op.End} got {bytes.Length} bytes; {count} others of a packet of {packet.Length} were expected";
        }
        if (isTruncated is { } said && said != (packet.Length > op.Count))
        {
            return $"{op.Call} of the {op.End} said that the packet was {(said ? "cut" : "whole")}, and it has {packet.Length} bytes";
        }
        return sender is not null && !sender.Equals(op.End.Peer.Address)
            ? $"{op.Call} of the {op.End} said that {sender} had sent the packet; {op.End.Peer.Address} was expected"
            : null;
    }

    /// <summary>The state, one line for each end.</summary>
    public string Describe()
    {
        StringBuilder text = new();
        foreach (PacketEnd end in Ends)
        {
            if (end != Ends[0]) text.Append('\n');
            text.Append(CultureInfo.InvariantCulture, $"{end}: {end.Packets.Count} packets on their way");
            if (end.ReadDeadlineIsPast) text.Append(", past its read deadline");
            if (end.WriteDeadlineIsPast) text.Append(", past its write deadline");
            if (end.IsDisposed) text.Append(", closed");
            foreach (PacketOp op in end.Ops) text.Append(CultureInfo.InvariantCulture, $"\n  {op}");
        }
        return text.ToString();
    }

    private bool HasEnded(PacketEnd end) => _tellsEnd && end.Peer.IsDisposed;
}
