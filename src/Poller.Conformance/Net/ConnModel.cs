using System.Globalization;
using System.Text;
using Poller.Abstractions;

namespace Poller.Conformance;

// The contract of Conn as a state machine: two byte queues with half closes, deadlines and waiting operations. It does no I/O. The harness
// tells it which operation began, what was done to each end, and how an operation ended. The model says how each operation may end, and
// which must be over.
//
// The kernel's buffers bound the queues, and their size is not known. A write that leaves at most RoomForSure bytes unread must be done. A
// larger one may be done, or may wait for the reader. A read, on the other hand, ends only for bytes, the end, a deadline, a token or a
// close.
//
// TCP tells a writer that its peer is gone when the peer has closed with unread bytes, or when bytes arrive there. Suppose the window was
// shut while the peer read all that had come: then nothing is unread, and nothing arrives. If the peer has also sent its end before, its
// close sends nothing. The writer then learns of it when the kernel probes the window, after a fraction of a second or after minutes.
//
// An operation is judged by everything that was allowed since it began, because it may have ended before the latest command.

/// <summary>How an operation ends.</summary>
[Flags]
internal enum ConnOutcomes
{
    None = 0,

    /// <summary>It succeeded: bytes were read, or are there, or all were sent.</summary>
    Done = 1,

    /// <summary>It found the end: a read returned 0, or a wait returned false.</summary>
    End = 2,
    Timeout = 4,
    Canceled = 8,

    /// <summary>The connection was closed on this side during the operation.</summary>
    Closed = 16,

    /// <summary>The connection was closed on this side before the operation.</summary>
    Disposed = 32,
    Reset = 64,

    /// <summary>It wrote after the end of writing (EPIPE).</summary>
    Shutdown = 128,
}

/// <summary>The state of a deadline.</summary>
internal enum ConnDeadline
{
    /// <summary>There is none, or it is so far ahead that no sequence lasts so long.</summary>
    Far,

    /// <summary>It comes within milliseconds, or has come. An operation that meets it makes it <see cref="Past"/>.</summary>
    Soon,
    Past,
}

/// <summary>The calls.</summary>
internal enum ConnCall
{
    Read,
    ReadArray,
    BeginRead,
    ReadByte,
    ReadNothing,
    WaitToRead,
    ReadExactly,
    CopyTo,
    Write,
    WriteArray,
    BeginWrite,
    WriteByte,
}

/// <summary>An operation that is not over yet.</summary>
internal sealed class ConnOp(ConnEnd end, PollMode mode, ConnCall call, int count)
{
    public ConnEnd End => end;
    public PollMode Mode => mode;
    public ConnCall Call => call;
    public int Count => count;

    /// <summary>How long it may take.</summary>
    public ConnDeadline Timeout { get; init; }

    /// <summary>The bytes that a write sends.</summary>
    public ConnSegment? Segment { get; init; }

    /// <summary>How it may have ended by now.</summary>
    public ConnOutcomes Allowed { get; set; }

    /// <summary>Whether it must be over.</summary>
    public bool Must { get; set; }

    public bool IsCanceled { get; set; }

    /// <summary>Whether it consists of several reads. The model then does not know which bytes it has between them.</summary>
    public bool IsComposite => Call is ConnCall.ReadExactly or ConnCall.CopyTo;

    public override string ToString() =>
        $"{Call}({Count}): " + (Allowed == ConnOutcomes.None ? "waits" : $"{(Must ? "must" : "may")} be over, by {Allowed}");
}

/// <summary>One end of the connection.</summary>
internal sealed class ConnEnd(string name)
{
    public ConnEnd Peer { get; set; } = null!;

    /// <summary>The bytes that it has written.</summary>
    public ConnStream Sent { get; } = new();

    public bool ReadIsClosed { get; set; }
    public bool WriteIsClosed { get; set; }
    public bool IsDisposed { get; set; }

    /// <summary>Its operations in the order in which they began; the first one is under way.</summary>
    public List<ConnOp> Reads { get; } = [];
    public List<ConnOp> Writes { get; } = [];

    public ConnDeadline ReadDeadline { get; set; }
    public ConnDeadline WriteDeadline { get; set; }

    /// <summary>How long each operation may take; null means any time.</summary>
    public ConnDeadline? ReadTimeout { get; set; }
    public ConnDeadline? WriteTimeout { get; set; }

    /// <summary>Whether the peer's window may have been shut: more bytes were unread at a time than its kernel takes for sure.</summary>
    public bool MayHaveFilledPeer { get; set; }

    /// <summary>Whether the peer's window may be shut with nothing unread there, because the peer has read since it was filled.</summary>
    public bool MayBeStalled { get; set; }

    /// <summary>Whether no byte comes from it after those that were sent.</summary>
    public bool HasEnded => WriteIsClosed || IsDisposed;

    public List<ConnOp> Queue(PollMode mode) => mode == PollMode.Read ? Reads : Writes;

    public ConnDeadline Deadline(PollMode mode) => mode == PollMode.Read ? ReadDeadline : WriteDeadline;

    public ConnDeadline? Timeout(PollMode mode) => mode == PollMode.Read ? ReadTimeout : WriteTimeout;

    public void SetDeadline(PollMode mode, ConnDeadline deadline)
    {
        if (mode.HasFlag(PollMode.Read)) ReadDeadline = deadline;
        if (mode.HasFlag(PollMode.Write)) WriteDeadline = deadline;
    }

    public override string ToString() => name;
}

/// <summary>Says how the operations on a connection may and must end, after everything that was done so far.</summary>
internal sealed class ConnModel
{
    /// <summary>How many bytes the kernel takes from a writer for sure, whatever its buffers are.</summary>
    public const int RoomForSure = 16 * 1024;

    /// <summary>The maximum number of operations in one direction at one end.</summary>
    public const int MaxQueue = 3;

    // TCP may have answered bytes that nobody will read with a reset, which drops the bytes on their way.
    private bool _mayBeReset;

    private readonly bool _tellsCloseRead;

    /// <param name="tellsCloseRead">Whether the writer learns at once that its peer reads no more, as over Unix sockets.</param>
    public ConnModel(bool tellsCloseRead = false)
    {
        _tellsCloseRead = tellsCloseRead;
        ConnEnd client = new("client"), server = new("server");
        (client.Peer, server.Peer) = (server, client);
        Ends = [client, server];
    }

    public IReadOnlyList<ConnEnd> Ends { get; }

    /// <summary>
    /// Whether the system may refuse shutdown(2): both directions have ended, and the kernel is done with the connection.
    /// </summary>
    public bool MayRefuseShutdown(ConnEnd end) => _mayBeReset || (end.WriteIsClosed && end.Peer.HasEnded);

    /// <summary>
    /// Whether an operation may begin here. It may not queue behind one that reads several times, because their order is not known. With a
    /// time-out it may not queue at all, because the model cannot know when it starts.
    /// </summary>
    public static bool CanBegin(ConnEnd end, PollMode mode, ConnCall call)
    {
        List<ConnOp> queue = end.Queue(mode);
        bool alone = call is ConnCall.ReadExactly or ConnCall.CopyTo;
        return end.IsDisposed
            || (queue.Count < MaxQueue
                && (queue.Count == 0 || (!alone && !queue[0].IsComposite && end.Timeout(mode) is null))
                && !(alone && end.Timeout(mode) is not null)
                && !(mode == PollMode.Write && !end.Sent.CanAppend));
    }

    /// <summary>Notes that an operation begins, or queues.</summary>
    public static ConnOp Begin(ConnEnd end, PollMode mode, ConnCall call, int count, bool isCanceled)
    {
        bool stillborn = end.IsDisposed || isCanceled;
        bool sends = mode == PollMode.Write && count > 0 && !stillborn;
        ConnOp op = new(end, mode, call, count)
        {
            Segment = sends ? end.Sent.Append(count) : null,
            Timeout = end.Timeout(mode) ?? ConnDeadline.Far,
        };
        if (stillborn)
        {
            (op.Allowed, op.Must) = (isCanceled ? ConnOutcomes.Canceled : ConnOutcomes.Disposed, true);
            return op;
        }
        end.Queue(mode).Add(op);
        return op;
    }

    public void CloseRead(ConnEnd end)
    {
        end.ReadIsClosed = true;
        if (end.WriteIsClosed && end.Peer.Sent.PossibleBytes > 0) _mayBeReset = true;
    }

    public void CloseWrite(ConnEnd end)
    {
        end.WriteIsClosed = true;
        if (end.ReadIsClosed && end.Peer.Sent.PossibleBytes > 0) _mayBeReset = true;
    }

    public void Dispose(ConnEnd end)
    {
        end.IsDisposed = true;
        if (end.Peer.Sent.PossibleBytes > 0) _mayBeReset = true;
    }

    /// <summary>Computes how each operation may and must end.</summary>
    public void Evaluate()
    {
        // Writes first, because bytes that they may have sent may be read.
        foreach (ConnEnd end in Ends) Evaluate(end.Writes, EvaluateWrite);
        foreach (ConnEnd end in Ends) Evaluate(end.Reads, EvaluateRead);
    }

    /// <summary>Notes that an operation is over. Returns what is wrong with that, or null.</summary>
    /// <param name="op">The operation.</param>
    /// <param name="outcome">Its outcome; several if they cannot be told apart.</param>
    /// <param name="bytes">The bytes that it has read.</param>
    public string? Complete(ConnOp op, ConnOutcomes outcome, ReadOnlySpan<byte> bytes)
    {
        op.End.Queue(op.Mode).Remove(op);
        if ((op.Allowed & outcome) == 0)
        {
            string expected = op.Allowed == ConnOutcomes.None ? "it was expected to wait" : $"{op.Allowed} was expected";
            return $"{op.Call} of the {op.End} came to {outcome}; {expected}";
        }

        // If both were about to pass, it may have met either. A deadline that has not passed may end the next operation.
        if (outcome == ConnOutcomes.Timeout && op.Timeout == ConnDeadline.Far) op.End.SetDeadline(op.Mode, ConnDeadline.Past);
        if (op.Mode == PollMode.Write)
        {
            if (op.Segment is not { } segment) return null;
            if (outcome == ConnOutcomes.Done) segment.Certain = segment.Possible = segment.Count;
            else if (segment.Possible == 0) op.End.Sent.Drop(segment);
            return null;
        }
        ConnStream stream = op.End.Peer.Sent;
        if (stream.Deliver(bytes) is { } fault) return $"{op.Call} of the {op.End}: {fault}";
        return op.IsComposite && outcome == ConnOutcomes.End && stream.CertainBytes > 0 && !op.End.ReadIsClosed && !_mayBeReset
            ? $"{op.Call} of the {op.End} came to an end, and {stream.CertainBytes} bytes were to come"
            : null;
    }

    /// <summary>The state, one line for each end.</summary>
    public string Describe()
    {
        StringBuilder text = new();
        foreach (ConnEnd end in Ends)
        {
            if (end != Ends[0]) text.Append('\n');
            text.Append(CultureInfo.InvariantCulture, $"{end}: deadlines {end.ReadDeadline} and {end.WriteDeadline}");
            if (end.ReadTimeout is { } read) text.Append(CultureInfo.InvariantCulture, $", ReadTimeout {read}");
            if (end.WriteTimeout is { } write) text.Append(CultureInfo.InvariantCulture, $", WriteTimeout {write}");
            if (end.ReadIsClosed) text.Append(", CloseRead");
            if (end.WriteIsClosed) text.Append(", CloseWrite");
            if (end.IsDisposed) text.Append(", disposed");
            text.Append(CultureInfo.InvariantCulture, $"; of what it sent, {end.Sent}");
            foreach (ConnOp op in (ConnOp[])[.. end.Reads, .. end.Writes]) text.Append(CultureInfo.InvariantCulture, $"\n  {op}");
        }
        if (_mayBeReset) text.Append("\nthe connection may be reset");
        return text.ToString();
    }

    private static void Evaluate(List<ConnOp> queue, Action<ConnOp, bool> evaluate)
    {
        bool mayRun = true;
        foreach (ConnOp op in queue)
        {
            op.Must = op.End.IsDisposed || op.IsCanceled;
            if (op.End.IsDisposed) op.Allowed |= op.IsComposite ? ConnOutcomes.Closed | ConnOutcomes.Disposed : ConnOutcomes.Closed;
            else if (op.IsCanceled) op.Allowed |= ConnOutcomes.Canceled;
            else if (mayRun) evaluate(op, op == queue[0]);

            // Its turn has come only if all operations before it may be over.
            mayRun &= op.Allowed != ConnOutcomes.None;
        }
    }

    private void EvaluateWrite(ConnOp op, bool isFirst)
    {
        ConnEnd end = op.End;
        if (MeetsDeadline(op, isFirst)) return;
        if (op.Count == 0)
        {
            Allow(op, ConnOutcomes.Done, isFirst);
            return;
        }
        if (end.WriteIsClosed)
        {
            // A kernel with too many connections in TIME-WAIT drops one, and answers its peer's end with a reset.
            Allow(op, _mayBeReset || end.Peer.IsDisposed ? ConnOutcomes.Shutdown | ConnOutcomes.Reset : ConnOutcomes.Shutdown, isFirst);
            return;
        }
        if (_tellsCloseRead && (end.Peer.ReadIsClosed || end.Peer.IsDisposed))
        {
            // One that waits for room may learn of it only when its peer reads or closes: poll(2) does not tell.
            Allow(op, ConnOutcomes.Shutdown, isFirst && (end.Peer.IsDisposed || op.Segment!.Possible == 0));
            return;
        }
        op.Segment!.Possible = op.Count;
        if (end.Peer.IsDisposed || end.Peer is { ReadIsClosed: true, WriteIsClosed: true }) _mayBeReset = true;
        if (end.Sent.PossibleBytes > RoomForSure) end.MayHaveFilledPeer = true;
        bool isCopied = end.Peer is { Reads: [{ Call: ConnCall.CopyTo }, ..], ReadDeadline: ConnDeadline.Far, ReadIsClosed: false };
        Allow(op, ConnOutcomes.Done, isFirst && (isCopied || end.Sent.PossibleBytes <= RoomForSure));

        // A peer that has closed answers the bytes with a reset, unless it had sent its end before and its window is shut: then the bytes
        // may not reach it. A peer that has only ended its reading need not answer, because its window may have been shut before.
        bool answers = end.Peer.IsDisposed && !(end.Peer.WriteIsClosed && end.MayBeStalled);
        if (_mayBeReset) Allow(op, ConnOutcomes.Reset | ConnOutcomes.Shutdown, isFirst && answers);
    }

    private void EvaluateRead(ConnOp op, bool isFirst)
    {
        ConnEnd end = op.End;
        if (MeetsDeadline(op, isFirst)) return;
        if (end.Peer.MayHaveFilledPeer && op.Call is not (ConnCall.ReadNothing or ConnCall.WaitToRead)) end.Peer.MayBeStalled = true;
        ConnStream stream = end.Peer.Sent;
        long wanted = op.Call == ConnCall.ReadExactly ? op.Count : op.Call == ConnCall.CopyTo ? long.MaxValue : 1;
        bool isThere = stream.CertainBytes >= wanted;
        if (stream.PossibleBytes >= wanted) Allow(op, ConnOutcomes.Done, isFirst && isThere);
        if (end.Peer.HasEnded) Allow(op, isThere ? ConnOutcomes.None : ConnOutcomes.End, isFirst);

        // A read takes earlier bytes first. Only the kernel knows whether they have arrived.
        if (end.ReadIsClosed) Allow(op, ConnOutcomes.End, isFirst);
        if (_mayBeReset) Allow(op, ConnOutcomes.Reset | ConnOutcomes.End, must: false);
    }

    // Allows a time-out if a deadline or a time-out is near. Returns true if one has passed, so that the operation can end in no other way.
    // The earlier of the two holds.
    private static bool MeetsDeadline(ConnOp op, bool isFirst)
    {
        ConnDeadline deadline = (ConnDeadline)Math.Max((int)op.End.Deadline(op.Mode), (int)op.Timeout);
        if (deadline != ConnDeadline.Far) Allow(op, ConnOutcomes.Timeout, isFirst);
        return deadline == ConnDeadline.Past;
    }

    private static void Allow(ConnOp op, ConnOutcomes outcomes, bool must)
    {
        op.Allowed |= outcomes;
        op.Must |= must;
    }
}
