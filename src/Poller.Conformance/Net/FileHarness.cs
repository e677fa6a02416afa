using System.Globalization;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Conformance;

/// <summary>
/// Applies the commands of one sequence to the two ends of a new pipe, and asks the model about each operation, whether it is over or not.
/// </summary>
internal sealed class FileHarness : SequenceHarness<FileCommand>
{
    private static readonly Func<nint, byte[], TryResult<int>> ReadCall = static (fd, buffer) => Result(Fd.Read(fd, buffer), "read");

    private static readonly Func<nint, byte[], TryResult<int>> WriteCall = static (fd, buffer) => Result(Fd.Write(fd, buffer), "write");

    private readonly TimeSpan _patience;
    private readonly FileModel _model = new();
    private readonly FileEnd[] _ends;
    private readonly Fd[] _fds;
    private readonly PolledFile[] _files;
    private readonly Dictionary<FileOp, Pending> _pending = [];

    // What is in the pipe.
    private readonly Queue<byte> _content = new();

    private int _made;

    public FileHarness(Netpoller poller, TimeSpan patience)
    {
        _patience = patience;
        (Fd read, Fd write) = Fd.Pipe();
        _ends = [_model.Reader, _model.Writer];
        _fds = [read, write];
        _files = [new PolledFile(poller, read.Release(), ownsHandle: true), new PolledFile(poller, write.Release(), ownsHandle: true)];
    }

    public override void Run(IReadOnlyList<FileCommand> commands)
    {
        foreach (FileCommand command in commands)
        {
            Execute(command, Describe(command), _model.Describe(), Execute);
            Settle();
        }

        // A close leaves no operation waiting.
        foreach (FileEnd end in _ends)
        {
            Begin($"the end: dispose of the {end}", _model.Describe());
            Close(end);
            Settle();
        }
    }

    public override void Dispose()
    {
        foreach (PolledFile file in _files) file.Dispose();
        foreach (Pending pending in _pending.Values) pending.Source?.Dispose();
    }

    private void Execute(FileCommand command)
    {
        switch (command)
        {
            case FileCommand.Start start when _model.CanBegin(_ends[start.End], start.Call):
                Start(start);
                break;
            case FileCommand.Native(0, var count) when _model is { CanRead: true, Bytes: > 0 }:
                Take(count);
                break;
            case FileCommand.Native(1, var count) when _model.CanWrite:
                byte[] bytes = NewBytes(count);
                if (_fds[1].Write(bytes) != count) throw Wrong("a write into a pipe with room did not write all");
                Put(bytes);
                _model.Wrote(count);
                break;
            case FileCommand.Fill when _model.CanFill:
                Fill();
                break;
            case FileCommand.Drain when _model is { Reader.IsDisposed: false, Bytes: > 0 }:
                while (_model.Bytes > 0)
                {
                    Take((int)_model.Bytes);
                    Settle();
                }
                break;
            case FileCommand.Deadline(var end, var isPast) when !_ends[end].IsDisposed:
                DateTimeOffset? when = isPast ? DateTimeOffset.UnixEpoch : null;
                if (end == 0) _files[end].SetReadDeadline(when);
                else _files[end].SetWriteDeadline(when);
                _ends[end].DeadlineIsPast = isPast;
                break;
            case FileCommand.Cancel(var end, var index)
                when _ends[end].Ops.Where(op => _pending[op].Source is not null).ToArray() is { Length: > 0 } all:
                FileOp op = all[index % all.Length];
                op.IsCanceled = true;
                Note(_pending[op].Name);
                _pending[op].Source!.Cancel();
                break;
            case FileCommand.Dispose(var end) when !_ends[end].IsDisposed:
                Close(_ends[end]);
                break;
            default:
                HasNoEffect();
                break;
        }
    }

    private void Start(FileCommand.Start start)
    {
        FileEnd end = _ends[start.End];
        byte[] buffer = end.Reads ? new byte[start.Count] : NewBytes(start.Count);
        FileOp op = FileModel.Begin(end, start.Call, start.Count);
        Pending pending = new(op, Number, buffer, start.HasToken ? new CancellationTokenSource() : null);
        bool queues = end.Ops.Contains(op);
        try
        {
            pending.Begin(_files[start.End], start.Blocking);
            _pending.Add(op, pending);
            pending.Operation.HasBegun(_patience);
        }
#pragma warning disable CA1031 // No operation may throw from the call itself: its exception belongs into its task.
        catch (Exception e)
#pragma warning restore CA1031
        {
            throw Violation($"{pending.Name} threw from the call itself: {e}");
        }

        // An operation that is not queued is over now, or it never will be.
        if (!queues) Complete(pending);
    }

    private void Take(int count)
    {
        byte[] buffer = new byte[Math.Min(count, _model.Bytes)];
        int read = Fd.Read(_fds[0].Number, buffer);
        if (read != buffer.Length) throw Wrong($"a read of {buffer.Length} bytes from a pipe that has them came to {read}");
        Check(buffer, "a read of the library");
        _model.Took(read);
    }

    private void Fill()
    {
        int total = 0;

        // Single bytes fill what is left of the last page.
        foreach (int size in (int[])[FileModel.MaxWrite, 1])
        {
            while (true)
            {
                byte[] bytes = NewBytes(size);
                int n = _fds[1].Write(bytes);
                if (n == -Errno.EAGAIN.Number) break;
                if (n != size) throw Wrong($"a write of {size} bytes came to {n}");
                Put(bytes);
                total += n;
            }
        }
        _model.Filled(total);
    }

    private void Close(FileEnd end)
    {
        if (end.IsDisposed) return;
        Task closing = _files[end.Reads ? 0 : 1].DisposeAsync().AsTask();
        end.IsDisposed = true;
        if (!closing.Wait(_patience)) throw Violation($"the dispose of the {end} has not come back for {_patience.TotalSeconds} s");

        // A child process that somebody starts has a copy from its fork(2) to its exec(2), and the model knows of no such time.
        int other = end.Reads ? 1 : 0;
        if (_ends[other].IsDisposed || !OperatingSystem.IsLinux()) return;
        SpinWait.SpinUntil(() => Fd.HasHungUp(_fds[other].Number), _patience);
    }

    /// <summary>Waits for all operations that must be over, and notes all that are.</summary>
    private void Settle()
    {
        bool changed;
        do
        {
            changed = false;
            _model.Evaluate();
            foreach (FileEnd end in (FileEnd[])[_model.Writer, _model.Reader]) // Note a write before the read of its bytes.
            {
                FileOp? over = end.Ops.FirstOrDefault(op => op.Must || _pending[op].Operation.Task.IsCompleted);
                if (over is null) continue;
                Complete(_pending[over]);
                changed = true;
                break;
            }
        }
        while (changed);
    }

    private void Complete(Pending pending)
    {
        FileOp op = pending.Op;
        if (!Task.WhenAny(pending.Operation.Task).Wait(_patience))
        {
            throw Violation($"{pending.Name} has not come back for {_patience.TotalSeconds} s; {op.Allowed} was expected");
        }
        _pending.Remove(op);
        FileOutcomes outcome = pending.Outcome(out int count, out string text);
        Note($"{pending.Name}: {text}");
        if (outcome == FileOutcomes.None) throw Violation($"{pending.Name} came to {text}");
        if (op.Call != FileCall.Wait && outcome == FileOutcomes.Done)
        {
            if (op.End.Reads) Check(pending.Buffer.AsSpan(0, count), pending.Name);
            else Put(pending.Buffer);
        }
        if (_model.Complete(op, outcome, count) is { } fault) throw Violation(fault);
        pending.Source?.Dispose();
    }

    private void Put(byte[] bytes)
    {
        foreach (byte b in bytes) _content.Enqueue(b);
    }

    private void Check(ReadOnlySpan<byte> bytes, string who)
    {
        foreach (byte b in bytes)
        {
            if (!_content.TryDequeue(out byte expected)) throw Violation($"{who} got more than was written");
            if (b != expected) throw Violation($"{who} got other bytes than were written");
        }
    }

    private byte[] NewBytes(int count)
    {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++) bytes[i] = (byte)_made++;
        return bytes;
    }

    private static TryResult<int> Result(int n, string call) =>
        n == -Errno.EAGAIN.Number ? TryResult.WouldBlock
        : n >= 0 ? TryResult.Done(n)
        : throw new NetpollException(call, new Errno(-n));

    private ModelViolation Violation(string fault) => new(fault, _model.Describe());

    private InvalidOperationException Wrong(string what) => new($"{what}; {_model.Describe()}");

    private string Describe(FileCommand command) => command switch
    {
        FileCommand.Start start =>
            $"{start.Call}({start.Count}) of the {_ends[start.End]}, "
            + (start.Blocking ? "blocking" : start.HasToken ? "async, token" : "async"),
        FileCommand.Native(var end, var count) => $"a library {(end == 0 ? "reads" : "writes")} {count} bytes",
        FileCommand.Fill => "a library fills the pipe",
        FileCommand.Drain => "a library reads all",
        FileCommand.Deadline(var end, var isPast) => $"deadline of the {_ends[end]}: {(isPast ? "past" : "none")}",
        FileCommand.Cancel(var end, _) => $"cancel an operation of the {_ends[end]}",
        FileCommand.Dispose(var end) => $"dispose of the {_ends[end]}",
        _ => throw new InvalidOperationException($"unknown command {command}"),
    };

    /// <summary>An operation that has begun.</summary>
    private sealed class Pending(FileOp op, int number, byte[] buffer, CancellationTokenSource? source)
    {
        public FileOp Op => op;
        public byte[] Buffer => buffer;
        public CancellationTokenSource? Source => source;
        public string Name { get; } = string.Create(CultureInfo.InvariantCulture, $"{op.Call} #{number} of the {op.End}");
        public NetOperation<int> Operation { get; private set; } = null!;

        public void Begin(PolledFile file, bool blocking)
        {
            CancellationToken token = source?.Token ?? default;
            Operation = (op.Call, op.End.Reads) switch
            {
                (FileCall.Bytes, true) when blocking => new(() => file.Read(buffer)),
                (FileCall.Bytes, true) => new(file.ReadAsync(buffer, token).AsTask()),
                (FileCall.Function, true) when blocking => new(() => file.Read(buffer, ReadCall)),
                (FileCall.Function, true) => new(file.ReadAsync(buffer, ReadCall, token).AsTask()),
                (FileCall.Wait, true) when blocking => new(() => After(file.WaitReadable)),
                (FileCall.Wait, true) => new(After(file.WaitReadableAsync(token), 0)),
                (FileCall.Bytes, false) when blocking => new(() => After(() => file.Write(buffer))),
                (FileCall.Bytes, false) => new(After(file.WriteAsync(buffer, token), op.Count)),
                (FileCall.Function, false) when blocking => new(() => file.Write(buffer, WriteCall)),
                (FileCall.Function, false) => new(file.WriteAsync(buffer, WriteCall, token).AsTask()),
                (_, _) when blocking => new(() => After(file.WaitWritable)),
                (_, _) => new(After(file.WaitWritableAsync(token), 0)),
            };
        }

        /// <summary>Its outcome; None if no operation may end so.</summary>
        public FileOutcomes Outcome(out int count, out string text)
        {
            count = 0;
            try
            {
                count = Operation.Task.GetAwaiter().GetResult();
                text = op.Call == FileCall.Wait ? "over" : $"{count}";
                return op.Call != FileCall.Wait && op.End.Reads && count == 0 ? FileOutcomes.End : FileOutcomes.Done;
            }
#pragma warning disable CA1031 // The model judges every exception.
            catch (Exception e)
#pragma warning restore CA1031
            {
                text = e.Message;
                return e switch
                {
                    OperationCanceledException canceled when canceled.CancellationToken == source?.Token => FileOutcomes.Canceled,
                    ObjectDisposedException => FileOutcomes.Disposed,
                    NetOpException { IsTimeout: true, IsClosed: false } => FileOutcomes.Timeout,
                    NetOpException { IsClosed: true } => FileOutcomes.Closed,
                    NetOpException { InnerException: NetpollException inner } when inner.Error == Errno.EPIPE => FileOutcomes.Broken,
                    NetpollException direct when direct.Error == Errno.EPIPE => FileOutcomes.Broken,
                    _ => FileOutcomes.None,
                };
            }
        }

        private int After(Action call)
        {
            call();
            return op.Call == FileCall.Wait ? 0 : op.Count;
        }

        private static async Task<int> After(ValueTask call, int count)
        {
            await call.ConfigureAwait(false);
            return count;
        }
    }
}
