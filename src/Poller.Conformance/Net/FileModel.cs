using System.Globalization;
using System.Text;

namespace Poller.Conformance;

// The contract of PolledFile as a state machine: the two ends of a pipe, each with a queue of operations, and a native library which reads
// and writes the same descriptors by itself. It does no I/O. The harness tells it what was done, and the model says how each operation may
// end, and which must be over.
//
// A wait is over if and only if a call would not block now: what was reported before, and a library has taken since, is no readiness.
//
// No write is larger than PIPE_BUF, so it goes as a whole or not at all. How many of them a pipe takes is the kernel's business. So the
// model counts the pages that they may take at most, and writes only what fits for sure or, when a write has found no room, what does not
// fit for sure. When bytes were read from a full pipe and others are left, there may be room or not.

/// <summary>How an operation ends.</summary>
[Flags]
internal enum FileOutcomes
{
    None = 0,

    /// <summary>It succeeded: bytes were read or written, or the wait is over.</summary>
    Done = 1,

    /// <summary>A read found the end.</summary>
    End = 2,
    Timeout = 4,
    Canceled = 8,

    /// <summary>The file was disposed during the operation.</summary>
    Closed = 16,

    /// <summary>The file was disposed before the operation.</summary>
    Disposed = 32,

    /// <summary>It wrote, and nobody has the other end (EPIPE).</summary>
    Broken = 64,
}

/// <summary>The forms of an operation.</summary>
internal enum FileCall
{
    Bytes,
    Function,
    Wait,
}

/// <summary>An operation that is not over yet.</summary>
internal sealed class FileOp(FileEnd end, FileCall call, int count)
{
    public FileEnd End => end;
    public FileCall Call => call;

    /// <summary>The length of its buffer.</summary>
    public int Count => count;

    /// <summary>How it may have ended by now.</summary>
    public FileOutcomes Allowed { get; set; }

    /// <summary>Whether it must be over.</summary>
    public bool Must { get; set; }

    public bool IsCanceled { get; set; }

    public override string ToString() =>
        $"{Call}({Count}): " + (Allowed == FileOutcomes.None ? "waits" : $"{(Must ? "must" : "may")} be over, by {Allowed}");
}

/// <summary>One end of the pipe.</summary>
internal sealed class FileEnd(string name, bool reads)
{
    public bool Reads => reads;
    public bool IsDisposed { get; set; }
    public bool DeadlineIsPast { get; set; }

    /// <summary>Its operations in the order in which they began; the first one is under way.</summary>
    public List<FileOp> Ops { get; } = [];

    public override string ToString() => name;
}

/// <summary>Says how the operations on both ends of a pipe may and must end, after everything that was done so far.</summary>
internal sealed class FileModel
{
    /// <summary>PIPE_BUF: a pipe takes so many bytes as a whole, or none of them. Every system has at least 512.</summary>
    public const int MaxWrite = 512;

    /// <summary>The maximum number of operations at one end.</summary>
    public const int MaxQueue = 3;

    // Every system's pipe has room for so many writes of at most MaxWrite.
    private const int WritesForSure = 8;

    private int _writes;

    public FileEnd Reader { get; } = new("reader", reads: true);

    public FileEnd Writer { get; } = new("writer", reads: false);

    /// <summary>How many bytes were written and read, by whom ever.</summary>
    public long Written { get; private set; }
    public long Read { get; private set; }

    /// <summary>What is in the pipe.</summary>
    public long Bytes => Written - Read;

    /// <summary>Whether a write has found no room, and the pipe was not empty since.</summary>
    public bool IsFull { get; private set; }

    /// <summary>Whether bytes were read since, so that there may be room.</summary>
    public bool MayHaveRoom { get; private set; }

    private bool HasRoom => !IsFull && _writes < WritesForSure;

    private bool WaitsForRoom => Writer.Ops.Exists(static op => op.Call != FileCall.Wait);

    /// <summary>Whether the pipe may be filled.</summary>
    public bool CanFill => CanWrite && !IsFull && Reader.Ops.Count == 0;

    /// <summary>Whether a library may write: there is room, and no write of the poller gets it first.</summary>
    public bool CanWrite => !Writer.IsDisposed && !Reader.IsDisposed && HasRoom && Writer.Ops.Count == 0;

    /// <summary>Whether bytes may be read. A write that waits for room would get it at a time that the model cannot know.</summary>
    public bool CanRead => !Reader.IsDisposed && !(IsFull && WaitsForRoom);

    /// <summary>Whether an operation may begin.</summary>
    public bool CanBegin(FileEnd end, FileCall call) =>
        end.IsDisposed || (end.Ops.Count < MaxQueue && (call == FileCall.Wait
            || (end.Reads ? CanRead : Reader.IsDisposed || HasRoom || (IsFull && !MayHaveRoom))));

    /// <summary>Notes that an operation begins, or queues.</summary>
    public static FileOp Begin(FileEnd end, FileCall call, int count)
    {
        FileOp op = new(end, call, count);
        if (end.IsDisposed) (op.Allowed, op.Must) = (FileOutcomes.Disposed, true);
        else end.Ops.Add(op);
        return op;
    }

    public void Wrote(int count)
    {
        Written += count;
        _writes++;
    }

    public void Filled(int count)
    {
        Written += count;
        IsFull = true;
    }

    public void Took(int count)
    {
        Read += count;
        if (count > 0) MayHaveRoom = IsFull;
        if (Bytes == 0) (_writes, IsFull, MayHaveRoom) = (0, false, false);
    }

    /// <summary>Computes how each operation may and must end.</summary>
    public void Evaluate()
    {
        foreach (FileEnd end in (FileEnd[])[Writer, Reader])
        {
            foreach (FileOp op in end.Ops)
            {
                FileOutcomes must =
                    end.IsDisposed ? FileOutcomes.Closed
                    : op.IsCanceled ? FileOutcomes.Canceled
                    : end.DeadlineIsPast ? FileOutcomes.Timeout
                    : op != end.Ops[0] ? FileOutcomes.None
                    : end.Reads ? ReadOutcome(op)
                    : WriteOutcome(op);
                op.Allowed |= must;
                op.Must = must != FileOutcomes.None;
                bool isWaitForRoom = op is { Call: FileCall.Wait, End.Reads: false };
                if (isWaitForRoom && MayHaveRoom && op == end.Ops[0]) op.Allowed |= FileOutcomes.Done;
            }
        }
    }

    /// <summary>How many bytes an operation that succeeds has now.</summary>
    public int CountOf(FileOp op) => op.Call == FileCall.Wait ? 0 : op.End.Reads ? (int)Math.Min(op.Count, Bytes) : op.Count;

    /// <summary>Notes that an operation is over. Returns what is wrong with that, or null.</summary>
    public string? Complete(FileOp op, FileOutcomes outcome, int count)
    {
        op.End.Ops.Remove(op);
        if ((op.Allowed & outcome) == 0)
        {
            string expected = op.Allowed == FileOutcomes.None ? "it was expected to wait" : $"{op.Allowed} was expected";
            return $"{op.Call} of the {op.End} came to {outcome}; {expected}";
        }
        if (outcome != FileOutcomes.Done) return null;
        int expectedCount = CountOf(op);
        if (count != expectedCount) return $"{op.Call} of the {op.End} has {count} bytes; {expectedCount} were expected";
        if (op.Call == FileCall.Wait) return null;
        if (op.End.Reads) Took(count);
        else Wrote(count);
        return null;
    }

    /// <summary>The state, one line for each end.</summary>
    public string Describe()
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"{Bytes} bytes in the pipe");
        if (IsFull) text.Append(MayHaveRoom ? ", which was full" : ", which is full");
        foreach (FileEnd end in (FileEnd[])[Reader, Writer])
        {
            text.Append(CultureInfo.InvariantCulture, $"\n{end}");
            if (end.DeadlineIsPast) text.Append(", past its deadline");
            if (end.IsDisposed) text.Append(", disposed");
            foreach (FileOp op in end.Ops) text.Append(CultureInfo.InvariantCulture, $"\n  {op}");
        }
        return text.ToString();
    }

    private FileOutcomes ReadOutcome(FileOp op) =>
        Bytes > 0 ? FileOutcomes.Done
        : !Writer.IsDisposed ? FileOutcomes.None
        : op.Call == FileCall.Wait ? FileOutcomes.Done
        : FileOutcomes.End;

    private FileOutcomes WriteOutcome(FileOp op) =>
        Reader.IsDisposed ? op.Call == FileCall.Wait ? FileOutcomes.Done : FileOutcomes.Broken
        : IsFull ? FileOutcomes.None
        : FileOutcomes.Done;
}
