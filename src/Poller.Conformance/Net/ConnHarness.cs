using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Conformance;

/// <summary>
/// Applies the commands of one sequence to the two ends of a new connection, and asks the model about each operation, whether it is over or
/// not.
/// </summary>
internal sealed class ConnHarness : SequenceHarness<ConnCommand>
{
    // Long enough that some operations end before it, and some do not.
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(2);

    private readonly NetStack _stack;
    private readonly string _network;
    private readonly TimeSpan _patience;
    private readonly ConnModel _model;
    private readonly Dictionary<ConnOp, Pending> _pending = [];
    private readonly Dictionary<(ConnEnd, PollMode), long> _soon = [];
    private Conn[] _conns = [];

    public ConnHarness(NetStack stack, string network, TimeSpan patience)
    {
        (_stack, _network, _patience) = (stack, network, patience);
        _model = new ConnModel(tellsCloseRead: network == "unix");
    }

    /// <summary>The number of bytes that have arrived, in both directions.</summary>
    public long Bytes => _model.Ends.Sum(end => end.Sent.Delivered);

    public override void Run(IReadOnlyList<ConnCommand> commands)
    {
        Connect();
        try
        {
            foreach (ConnCommand command in commands)
            {
                Execute(command, Describe(command), _model.Describe(), Execute);
                Settle();
            }
            End();
        }
        catch (NetOpException e)
        {
            throw Violation($"a call that does not wait failed: {e}");
        }
    }

    public override void Dispose()
    {
        foreach (Conn conn in _conns) conn.Dispose();
        foreach (Pending pending in _pending.Values) pending.Dispose();
    }

    private void Connect()
    {
        try
        {
            (Conn client, Conn server) = _stack.Pair(_network, _patience);
            _conns = [client, server];
        }
        catch (Exception e) when (e is NetOpException or TimeoutException)
        {
            throw new ModelViolation($"a connection over the loopback was not made: {e.Message.TrimEnd('.')}", _model.Describe());
        }
    }

    private void Execute(ConnCommand command)
    {
        switch (command)
        {
            case ConnCommand.Read(int end, ConnCall call, int count, bool blocking, ConnToken token):
                Start(_model.Ends[end], PollMode.Read, call, count, blocking, token);
                break;
            case ConnCommand.Write(int end, ConnCall call, int count, bool blocking, ConnToken token):
                Start(_model.Ends[end], PollMode.Write, call, count, blocking, token);
                break;
            case ConnCommand.Drain(int end, bool blocking)
                when _model.Ends[end] is { IsDisposed: false, Reads.Count: 0, ReadDeadline: ConnDeadline.Far, ReadTimeout: null } reader:
                while (reader.Peer.Sent.CertainBytes > 0 && Read(reader, blocking)) { }
                break;
            case ConnCommand.SetDeadline(int end, PollMode mode, var when):
                SetDeadline(_model.Ends[end], mode, when);
                break;
            case ConnCommand.SetTimeout(int end, PollMode mode, var span)
                when _model.Ends[end] is var it && (it.IsDisposed || it.Queue(mode).Count == 0):
                SetTimeout(it, mode, span);
                break;
            case ConnCommand.Cancel(int end, PollMode mode, int index)
                when _model.Ends[end].Queue(mode).Where(op => _pending[op].Source is not null).ToArray() is { Length: > 0 } all:
                ConnOp op = all[index % all.Length];
                op.IsCanceled = true;
                Note(_pending[op].Name);
                _pending[op].Source!.Cancel();
                break;
            case ConnCommand.CloseRead(int end):
                Shutdown(_model.Ends[end], conn => conn.CloseRead(), _model.CloseRead);
                break;
            case ConnCommand.CloseWrite(int end):
                Shutdown(_model.Ends[end], conn => conn.CloseWrite(), _model.CloseWrite);
                break;
            case ConnCommand.Flush(int end, bool blocking):
                if (blocking) Call(_model.Ends[end], "Flush", conn => conn.Flush());
                else Call(_model.Ends[end], "FlushAsync", conn => conn.FlushAsync().GetAwaiter().GetResult());
                break;
            case ConnCommand.Dispose(int end):
                Close(_model.Ends[end]);
                break;
            default:
                HasNoEffect();
                break;
        }
    }

    // Nothing holds the operations up any more: all bytes arrive, then the end, and a close leaves no operation waiting.
    private void End()
    {
        foreach (ConnEnd end in _model.Ends.Where(end => !end.IsDisposed))
        {
            Begin($"the end: {end} without deadlines", _model.Describe());
            SetDeadline(end, PollMode.ReadWrite, null);
            (end.ReadTimeout, end.WriteTimeout) = (null, null);
            Call(end, "time-outs", conn => (conn.ReadTimeout, conn.WriteTimeout) = (Timeout.Infinite, Timeout.Infinite));
            Settle();
        }
        foreach (ConnEnd end in _model.Ends.Where(end => !end.IsDisposed && !end.ReadIsClosed))
        {
            Begin($"the end: all that was sent to {end}", _model.Describe());
            while ((end.Peer.Writes.Count > 0 || (end.Peer.Sent.CertainBytes > 0 && end.Reads.Count == 0)) && Advance(end)) { }
        }
        foreach (ConnEnd end in _model.Ends.Where(end => !end.HasEnded))
        {
            Begin($"the end: CloseWrite of {end}", _model.Describe());
            Shutdown(end, conn => conn.CloseWrite(), _model.CloseWrite);
            Settle();
        }
        foreach (ConnEnd end in _model.Ends.Where(end => !end.IsDisposed && !end.ReadIsClosed && end.Peer.HasEnded))
        {
            Begin($"the end: {end} reads until its end", _model.Describe());
            while (Read(end, blocking: true)) { }
        }
        foreach (ConnEnd end in _model.Ends.Where(end => !end.IsDisposed))
        {
            Begin($"the end: Dispose of {end}", _model.Describe());
            Close(end);
            Settle();
        }
        string[] left = [.. _pending.Values.Select(pending => pending.Name)];
        if (left.Length > 0) throw Violation($"{string.Join(", ", left)} waits, and both ends are closed");
    }

    /// <summary>Reads on at an end. False if there is nothing to read.</summary>
    private bool Advance(ConnEnd end)
    {
        if (end.Reads.Count == 0) return Read(end, blocking: false) || end.Reads.Count > 0;

        // If a write waits, there is something to read.
        Task[] all = [.. end.Reads.Concat(end.Peer.Writes).Select(op => _pending[op].Task)];
        if (Task.WaitAny(all, _patience) < 0) throw Violation($"the {end} waits to read, and the {end.Peer} to write");
        Settle();
        return true;
    }

    /// <summary>Reads once. False if the read got no bytes: it found the end, failed, or waits.</summary>
    private bool Read(ConnEnd end, bool blocking)
    {
        const int Plenty = 256 * 1024;
        long before = end.Peer.Sent.Delivered;
        Settle();
        if (end.Reads.Count == 0) Start(end, PollMode.Read, ConnCall.Read, Plenty, blocking, ConnToken.None);
        Settle();
        Progress();
        return end.Peer.Sent.Delivered > before;
    }

    private void Start(ConnEnd end, PollMode mode, ConnCall call, int count, bool blocking, ConnToken token)
    {
        if (!ConnModel.CanBegin(end, mode, call))
        {
            HasNoEffect();
            return;
        }
        CancellationTokenSource? source = token == ConnToken.None ? null : new();
        if (token == ConnToken.Cancelled) source!.Cancel();
        ConnOp op = ConnModel.Begin(end, mode, call, count, isCanceled: token == ConnToken.Cancelled);
        byte[] buffer = op.Segment is { } segment ? ConnStream.BytesOf(segment) : new byte[count];
        if (op.Segment is null) buffer.AsSpan().Fill(ConnStream.Nothing);
        Pending pending = new(op, Number, buffer, source);
        bool queues = end.Queue(mode).Contains(op);
        try
        {
            pending.Begin(ConnOf(end), blocking);
            _pending.Add(op, pending);
            pending.HasBegun(_patience);
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

    private void SetDeadline(ConnEnd end, PollMode mode, ConnDeadline? when)
    {
        long now = Stopwatch.GetTimestamp();
        DateTimeOffset? deadline = when switch
        {
            null => null,
            ConnDeadline.Far => DateTimeOffset.UtcNow + TimeSpan.FromHours(1),
            ConnDeadline.Soon => DateTimeOffset.UtcNow + Soon,
            _ => DateTimeOffset.UnixEpoch,
        };
        Call(end, "SetDeadline", mode switch
        {
            PollMode.Read => conn => conn.SetReadDeadline(deadline),
            PollMode.Write => conn => conn.SetWriteDeadline(deadline),
            _ => conn => conn.SetDeadline(deadline),
        });
        end.SetDeadline(mode, when ?? ConnDeadline.Far);
        if (mode.HasFlag(PollMode.Read)) _soon[(end, PollMode.Read)] = now;
        if (mode.HasFlag(PollMode.Write)) _soon[(end, PollMode.Write)] = now;
    }

    private void SetTimeout(ConnEnd end, PollMode mode, ConnDeadline? span)
    {
        int ms = span is null ? Timeout.Infinite : span == ConnDeadline.Soon ? (int)Soon.TotalMilliseconds : 3_600_000;
        Call(end, "time-out", mode == PollMode.Read ? conn => conn.ReadTimeout = ms : conn => conn.WriteTimeout = ms);
        if (end.IsDisposed) return;
        if (mode == PollMode.Read) end.ReadTimeout = span;
        else end.WriteTimeout = span;
        int said = mode == PollMode.Read ? ConnOf(end).ReadTimeout : ConnOf(end).WriteTimeout;
        if (said != ms) throw Violation($"the time-out is {said} ms after it was set to {ms} ms");
    }

    private void Shutdown(ConnEnd end, Action<Conn> shutdown, Action<ConnEnd> done)
    {
        bool mayRefuse = _model.MayRefuseShutdown(end);
        try
        {
            Call(end, "shutdown", shutdown);
            if (!end.IsDisposed) done(end);
        }
        catch (NetOpException e) when (mayRefuse)
        {
            Note(e.SocketErrorCode.ToString());
        }
        catch (NetOpException e)
        {
            throw Violation($"a half close of the {end} failed: {e.Message}");
        }
    }

    private void Close(ConnEnd end)
    {
        // Call would expect an exception from a second close, and there is none.
        ConnOf(end).Dispose();
        if (end.IsDisposed) return;
        _model.Dispose(end);
        AwaitClose(end.Peer);
    }

    // A child process that somebody starts has a copy of a closed descriptor from its fork(2) to its exec(2). Until then the peer of a Unix
    // socket can write to it, and the model knows of no such time.
    private void AwaitClose(ConnEnd peer)
    {
        if (_network != "unix" || peer.IsDisposed || !OperatingSystem.IsLinux()) return;
        SpinWait.SpinUntil(() => ConnOf(peer).Raw.Control(0, static (fd, _) => Fd.HasHungUp(fd)), _patience);
    }

    // Makes a call that does not wait. After a close every call but a flush must throw.
    private void Call(ConnEnd end, string name, Action<Conn> call)
    {
        try
        {
            call(ConnOf(end));
            bool says = !name.StartsWith("Flush", StringComparison.Ordinal);
            if (end.IsDisposed && says) throw Violation($"{name} of the {end} did not say that it is closed");
        }
        catch (ObjectDisposedException e)
        {
            if (!end.IsDisposed) throw Violation($"{name} of the {end} threw {e}");
            Note("disposed");
        }
    }

    /// <summary>Waits for all operations that must be over, and notes all that are.</summary>
    private void Settle()
    {
        bool changed;
        do
        {
            changed = false;
            _model.Evaluate();
            foreach (ConnEnd end in _model.Ends)
            {
                // Note a write before the read of its bytes.
                foreach (PollMode mode in (PollMode[])[PollMode.Write, PollMode.Read]) changed |= Settle(end.Queue(mode));
            }
        }
        while (changed);
        foreach (ConnEnd end in _model.Ends)
        {
            Conn conn = ConnOf(end);
            if (conn.CanRead != end.IsDisposed && conn.CanWrite != end.IsDisposed) continue;
            throw Violation($"CanRead and CanWrite of the {end} are {conn.CanRead} and {conn.CanWrite}");
        }
    }

    private bool Settle(List<ConnOp> queue)
    {
        // Operations end in turn, as the bytes come. An operation that leaves the queue early does not wait for its turn.
        ConnOp? over = queue.FirstOrDefault(op => op.Must || (op == queue[0] && _pending[op].Task.IsCompleted));
        if (over is null) return false;
        Pending pending = _pending[over];
        Await(pending);

        // If it succeeded, it had its turn, so all operations before it have had theirs.
        while (over != queue[0] && pending.Task.IsCompletedSuccessfully) Complete(_pending[queue[0]]);
        Complete(pending);
        return true;
    }

    private void Complete(Pending pending)
    {
        ConnOp op = pending.Op;
        Await(pending);
        _pending.Remove(op);
        ConnOutcomes outcome = pending.Outcome(out int read, out string text);
        Note($"{pending.Name}: {text}");
        if (outcome == ConnOutcomes.None) throw Violation($"{pending.Name} came to {text}");
        ConnDeadline deadline = op.End.Deadline(op.Mode);
        if (outcome == ConnOutcomes.Timeout && deadline != ConnDeadline.Past)
        {
            long byDeadline = deadline == ConnDeadline.Soon ? _soon[(op.End, op.Mode)] : long.MaxValue;
            long byTimeout = op.Timeout == ConnDeadline.Soon ? pending.Began : long.MaxValue;
            TimeSpan taken = Stopwatch.GetElapsedTime(Math.Min(byDeadline, byTimeout));
            string met = $"{pending.Name} met its deadline {Soon.TotalMilliseconds} ms ahead after {taken.TotalMilliseconds} ms";
            if (taken < Soon) throw Violation(met);
        }
        if (op.Mode == PollMode.Read && pending.Buffer.AsSpan(read).ContainsAnyExcept(ConnStream.Nothing))
        {
            throw Violation($"{pending.Name} came to {text}, and wrote more into its buffer than that");
        }
        if (_model.Complete(op, outcome, pending.BytesRead(read)) is { } fault) throw Violation(fault);
        pending.Dispose();
    }

    private void Await(Pending pending)
    {
        if (Task.WhenAny(pending.Task).Wait(_patience)) return;
        string expected = pending.Op.Allowed == ConnOutcomes.None ? "its turn has come" : $"{pending.Op.Allowed} was expected";
        throw Violation($"{pending.Name} has not come back for {_patience.TotalSeconds} s; {expected}");
    }

    private Conn ConnOf(ConnEnd end) => _conns[end == _model.Ends[0] ? 0 : 1];

    private ModelViolation Violation(string fault) => new(fault, _model.Describe());

    private string Describe(ConnCommand command) => command switch
    {
        ConnCommand.Read read => $"{read.Call}({read.Count}) of {_model.Ends[read.End]}, {Form(read.Blocking, read.Token)}",
        ConnCommand.Write write => $"{write.Call}({write.Count}) of {_model.Ends[write.End]}, {Form(write.Blocking, write.Token)}",
        ConnCommand.Drain drain => $"reads of {_model.Ends[drain.End]} until there is nothing more, {Form(drain.Blocking, ConnToken.None)}",
        ConnCommand.SetDeadline set => $"{set.Mode} deadline of {_model.Ends[set.End]}: {set.When?.ToString() ?? "none"}",
        ConnCommand.SetTimeout set => $"{set.Mode} time-out of {_model.Ends[set.End]}: {set.Span?.ToString() ?? "infinite"}",
        ConnCommand.Cancel(int end, PollMode mode, int _) => $"cancel a {mode} of {_model.Ends[end]}",
        ConnCommand.CloseRead(int end) => $"CloseRead of {_model.Ends[end]}",
        ConnCommand.CloseWrite(int end) => $"CloseWrite of {_model.Ends[end]}",
        ConnCommand.Flush(int end, bool _) => $"Flush of {_model.Ends[end]}",
        ConnCommand.Dispose(int end) => $"Dispose of {_model.Ends[end]}",
        _ => throw new InvalidOperationException($"unknown command {command}"),
    };

    private static string Form(bool blocking, ConnToken token) =>
        blocking ? "blocking" : token == ConnToken.None ? "async" : $"async, {token} token";

    /// <summary>An operation that has begun.</summary>
    private sealed class Pending(ConnOp op, int number, byte[] buffer, CancellationTokenSource? source) : IDisposable
    {
        // The bytes that a copy has read.
        private readonly MemoryStream? _sink = op.Call == ConnCall.CopyTo ? new MemoryStream() : null;
        private NetOperation<int>? _operation;

        /// <summary>The time just before it began.</summary>
        public long Began { get; } = Stopwatch.GetTimestamp();

        public ConnOp Op => op;
        public byte[] Buffer => buffer;
        public CancellationTokenSource? Source => source;
        public string Name { get; } = string.Create(CultureInfo.InvariantCulture, $"{op.Call} #{number} of {op.End}");
        public Task<int> Task => _operation!.Task;

        public void HasBegun(TimeSpan patience) => _operation!.HasBegun(patience);

        public void Begin(Conn conn, bool blocking)
        {
            CancellationToken token = source?.Token ?? default;
            _operation = op.Call switch
            {
                ConnCall.Read when blocking => new(() => conn.Read(buffer.AsSpan())),
                ConnCall.Read => new(conn.ReadAsync(buffer.AsMemory(), token).AsTask()),
                ConnCall.ReadArray when blocking => new(() => conn.Read(buffer, 0, op.Count)),
                ConnCall.ReadArray => new(conn.ReadAsync(buffer, 0, op.Count, token)),
                ConnCall.BeginRead => new(Task<int>.Factory.FromAsync(conn.BeginRead, conn.EndRead, buffer, 0, op.Count, null)),
                ConnCall.ReadByte => new(() =>
                {
                    int value = conn.ReadByte();
                    if (value >= 0) buffer[0] = (byte)value;
                    return value < 0 ? 0 : 1;
                }),
                ConnCall.ReadNothing when blocking => new(() => conn.Read([])),
                ConnCall.ReadNothing => new(conn.ReadAsync(Memory<byte>.Empty, token).AsTask()),
                ConnCall.WaitToRead when blocking => new(() => conn.WaitToRead() ? 1 : 0),
                ConnCall.WaitToRead => new(WaitToRead()),
                ConnCall.ReadExactly when blocking => Blocking(() => conn.ReadExactly(buffer)),
                ConnCall.ReadExactly => new(Async(() => conn.ReadExactlyAsync(buffer, token).AsTask())),
                ConnCall.CopyTo when blocking => Blocking(() => conn.CopyTo(_sink!)),
                ConnCall.CopyTo => new(Async(() => conn.CopyToAsync(_sink!, token))),
                ConnCall.Write when blocking => Blocking(() => conn.Write(buffer.AsSpan())),
                ConnCall.Write => new(Async(() => conn.WriteAsync(buffer.AsMemory(), token).AsTask())),
                ConnCall.WriteArray when blocking => Blocking(() => conn.Write(buffer, 0, op.Count)),
                ConnCall.WriteArray => new(Async(() => conn.WriteAsync(buffer, 0, op.Count, token))),
                ConnCall.BeginWrite => new(Async(() => System.Threading.Tasks.Task.Factory.FromAsync(
                    conn.BeginWrite, conn.EndWrite, buffer, 0, op.Count, null))),
                ConnCall.WriteByte => Blocking(() => conn.WriteByte(buffer[0])),
                _ => throw new InvalidOperationException($"unknown call {op.Call}"),
            };

            async Task<int> WaitToRead() => await conn.WaitToReadAsync(token).ConfigureAwait(false) ? 1 : 0;
        }

        /// <summary>Its outcome; None if no operation may end so.</summary>
        public ConnOutcomes Outcome(out int read, out string text)
        {
            read = 0;
            try
            {
                int value = Task.GetAwaiter().GetResult();
                text = op.Call is ConnCall.Read or ConnCall.ReadArray or ConnCall.BeginRead ? $"{value}" : "done";
                if (op.Mode == PollMode.Write) return ConnOutcomes.Done;
                if (op.Call == ConnCall.ReadNothing) return value == 0 ? ConnOutcomes.Done | ConnOutcomes.End : ConnOutcomes.None;
                if (op.Call == ConnCall.CopyTo || value == 0)
                {
                    text = "the end";
                    return ConnOutcomes.End;
                }
                if (op.Call == ConnCall.WaitToRead) return ConnOutcomes.Done;
                if (value < 0 || value > op.Count) return ConnOutcomes.None;
                read = value;
                return ConnOutcomes.Done;
            }
#pragma warning disable CA1031 // The model judges every exception.
            catch (Exception e)
#pragma warning restore CA1031
            {
                // The outcome of several reads shows how many bytes they got.
                int first = buffer.AsSpan().IndexOf(ConnStream.Nothing);
                if (op.Call == ConnCall.ReadExactly) read = first < 0 ? buffer.Length : first;
                text = e.Message;
                string operation = op.Mode == PollMode.Write ? "write" : op.Call == ConnCall.WaitToRead ? "wait to read" : "read";
                return e switch
                {
                    OperationCanceledException canceled when canceled.CancellationToken == source?.Token => ConnOutcomes.Canceled,
                    ObjectDisposedException => ConnOutcomes.Disposed,
                    EndOfStreamException => ConnOutcomes.End,
                    NetOpException failed when failed.Operation != operation => ConnOutcomes.None,
                    NetOpException { IsTimeout: true, IsClosed: false } => ConnOutcomes.Timeout,
                    NetOpException { IsClosed: true } => ConnOutcomes.Closed,
                    NetOpException { SocketErrorCode: SocketError.ConnectionReset } => ConnOutcomes.Reset,
                    NetOpException { SocketErrorCode: SocketError.Shutdown } => ConnOutcomes.Shutdown,
                    _ => ConnOutcomes.None,
                };
            }
        }

        public ReadOnlySpan<byte> BytesRead(int count) =>
            _sink is not null ? _sink.GetBuffer().AsSpan(0, (int)_sink.Length) : buffer.AsSpan(0, count);

        public void Dispose()
        {
            source?.Dispose();
            _sink?.Dispose();
        }

        private NetOperation<int> Blocking(Action call) => new(() =>
        {
            call();
            return op.Count;
        });

        // Stream's own members throw from the call. Conn's members put the exception into the task.
        private async Task<int> Async(Func<Task> call)
        {
            await call().ConfigureAwait(false);
            return op.Count;
        }
    }
}
