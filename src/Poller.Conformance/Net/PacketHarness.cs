using System.Globalization;
using System.Net;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Conformance;

/// <summary>
/// Applies the commands of one sequence to two sockets, each the other's peer, and asks the model about each receive, whether it is over or
/// not.
/// </summary>
internal sealed class PacketHarness : SequenceHarness<PacketCommand>
{
    private readonly TimeSpan _patience;
    private readonly PacketModel _model;
    private readonly (Conn Conn, EndPoint? To)[] _sockets;
    private readonly Dictionary<PacketOp, Pending> _pending = [];
    private int _made;

    /// <param name="one">A socket of packets, which the harness disposes, and where it sends to if it has no peer.</param>
    /// <param name="other">The socket that it sends to.</param>
    /// <param name="patience">How long to wait for something that must happen.</param>
    public PacketHarness((Conn Conn, EndPoint? To) one, (Conn Conn, EndPoint? To) other, TimeSpan patience)
    {
        (_sockets, _patience) = ([one, other], patience);
        bool isConnection = one.To is null && other.To is null;
        _model = new PacketModel(tellsEnd: isConnection);
        if (isConnection) return;
        foreach (PacketEnd end in _model.Ends) end.Address = ConnOf(end).LocalEndPoint;
    }

    public override void Run(IReadOnlyList<PacketCommand> commands)
    {
        foreach (PacketCommand command in commands)
        {
            Execute(command, Describe(command), _model.Describe(), Execute);
            Settle();
        }

        // Every packet arrives, and a close leaves no receive waiting.
        foreach (PacketEnd end in _model.Ends)
        {
            Begin($"the end: all packets of the {end}", _model.Describe());
            SetDeadline(end, PollMode.Read, isPast: false);
            Settle();
            while (end.Packets.Count > 0)
            {
                Receive(end, PacketCall.Message, PacketModel.MaxSize, blocking: false, source: null);
                Settle();
            }
        }
        foreach (PacketEnd end in _model.Ends)
        {
            Begin($"the end: close of the {end}", _model.Describe());
            ConnOf(end).Dispose();
            end.IsDisposed = true;
            Settle();
        }
    }

    public override void Dispose()
    {
        foreach ((Conn conn, _) in _sockets) conn.Dispose();
        foreach (Pending pending in _pending.Values) pending.Source?.Dispose();
    }

    private void Execute(PacketCommand command)
    {
        switch (command)
        {
            case PacketCommand.Receive(var end, var call, var size, var blocking, var hasToken)
                when PacketModel.CanBegin(_model.Ends[end]):
                Receive(_model.Ends[end], call, size, blocking, hasToken ? new CancellationTokenSource() : null);
                break;
            case PacketCommand.Send(var end, var size, var blocking) when PacketModel.CanSend(_model.Ends[end]):
                Send(_model.Ends[end], size, blocking);
                break;
            case PacketCommand.Deadline(var end, var mode, var isPast):
                SetDeadline(_model.Ends[end], mode, isPast);
                break;
            case PacketCommand.Cancel(var end, var index)
                when _model.Ends[end].Ops.Where(op => _pending[op].Source is not null).ToArray() is { Length: > 0 } all:
                PacketOp op = all[index % all.Length];
                op.IsCanceled = true;
                Note(_pending[op].Name);
                _pending[op].Source!.Cancel();
                break;
            default:
                HasNoEffect();
                break;
        }
    }

    private void Receive(PacketEnd end, PacketCall call, int size, bool blocking, CancellationTokenSource? source)
    {
        PacketOp op = PacketModel.Begin(end, call, size);
        Pending pending = new(op, Number, source);
        pending.Begin(ConnOf(end), blocking);
        _pending.Add(op, pending);
        pending.Operation.HasBegun(_patience);
    }

    private void Send(PacketEnd end, int size, bool blocking)
    {
        byte[] packet = new byte[size];
        for (int i = 0; i < size; i++) packet[i] = (byte)_made++;
        (Conn conn, EndPoint? to) = SocketOf(end);
        NetOperation<int> sending = to is null ? conn.StartWrite(blocking, packet) : StartSendTo((IPacketConn)conn, blocking, packet, to);
        try
        {
            sending.Result(_patience);
            if (end.WriteDeadlineIsPast) throw Violation($"the {end} sent a packet past its deadline");
            end.Peer.Packets.Enqueue(packet);
        }
        catch (TimeoutException)
        {
            throw Violation($"the {end} has not sent a packet for {_patience.TotalSeconds} s, and there is room");
        }
        catch (NetOpException e) when (e.IsTimeout && end.WriteDeadlineIsPast)
        {
            Note("past its deadline");
        }
        catch (NetOpException e)
        {
            throw Violation($"a send of the {end} failed: {e.Message}");
        }
    }

    private void SetDeadline(PacketEnd end, PollMode mode, bool isPast)
    {
        DateTimeOffset? when = isPast ? DateTimeOffset.UnixEpoch : null;
        if (mode == PollMode.Read)
        {
            ConnOf(end).SetReadDeadline(when);
            end.ReadDeadlineIsPast = isPast;
        }
        else
        {
            ConnOf(end).SetWriteDeadline(when);
            end.WriteDeadlineIsPast = isPast;
        }
    }

    /// <summary>Waits for all receives that must be over, and notes all that are.</summary>
    private void Settle()
    {
        while (true)
        {
            _model.Evaluate();
            PacketOp? over = _model.Ends.SelectMany(static end => end.Ops)
                .FirstOrDefault(op => op.Must || _pending[op].Operation.Task.IsCompleted);
            if (over is null) return;
            Complete(_pending[over]);
        }
    }

    private void Complete(Pending pending)
    {
        if (!Task.WhenAny(pending.Operation.Task).Wait(_patience))
        {
            throw Violation($"{pending.Name} has not come back for {_patience.TotalSeconds} s; {pending.Op.Allowed} was expected");
        }
        _pending.Remove(pending.Op);
        PacketOutcomes outcome = pending.Outcome(out int count, out string text);
        Note($"{pending.Name}: {text}");
        if (outcome == PacketOutcomes.None) throw Violation($"{pending.Name} came to {text}");
        string? fault = PacketModel.Complete(pending.Op, outcome, pending.Buffer.AsSpan(0, count), pending.IsTruncated, pending.Sender);
        if (fault is not null) throw Violation(fault);
        pending.Source?.Dispose();
    }

    private static NetOperation<int> StartSendTo(IPacketConn conn, bool blocking, byte[] packet, EndPoint to)
    {
        return blocking
            ? new(() =>
            {
                conn.SendTo(packet, to);
                return packet.Length;
            })
            : new(SendToAsync());

        async Task<int> SendToAsync()
        {
            await conn.SendToAsync(packet, to).ConfigureAwait(false);
            return packet.Length;
        }
    }

    private (Conn Conn, EndPoint? To) SocketOf(PacketEnd end) => _sockets[end == _model.Ends[0] ? 0 : 1];

    private Conn ConnOf(PacketEnd end) => SocketOf(end).Conn;

    private ModelViolation Violation(string fault) => new(fault, _model.Describe());

    private string Describe(PacketCommand command) => command switch
    {
        PacketCommand.Receive receive =>
            $"{receive.Call}({receive.Size}) of the {_model.Ends[receive.End]}, "
            + (receive.Blocking ? "blocking" : receive.HasToken ? "async, token" : "async"),
        PacketCommand.Send send => $"the {_model.Ends[send.End]} sends {send.Size} bytes, {(send.Blocking ? "blocking" : "async")}",
        PacketCommand.Deadline set => $"{set.Mode} deadline of the {_model.Ends[set.End]}: {(set.IsPast ? "past" : "none")}",
        PacketCommand.Cancel cancel => $"cancel a receive of the {_model.Ends[cancel.End]}",
        _ => throw new InvalidOperationException($"unknown command {command}"),
    };

    /// <summary>A receive that has begun.</summary>
    private sealed class Pending(PacketOp op, int number, CancellationTokenSource? source)
    {
        private readonly SocketAddress? _address = op.End.Peer.Address is { } peer ? new(peer.AddressFamily) : null;

        public PacketOp Op => op;
        public byte[] Buffer { get; } = new byte[op.Count];

        /// <summary>What a message told; null before it is over, and for the other calls.</summary>
        public bool? IsTruncated { get; private set; }
        public EndPoint? Sender { get; private set; }

        public CancellationTokenSource? Source => source;
        public string Name { get; } = string.Create(CultureInfo.InvariantCulture, $"{op.Call} #{number} of the {op.End}");
        public NetOperation<int> Operation { get; private set; } = null!;

        public void Begin(Conn conn, bool blocking)
        {
            CancellationToken token = source?.Token ?? default;
            Operation = op.Call switch
            {
                PacketCall.Read when blocking => new(() => conn.Read(Buffer)),
                PacketCall.Read => new(conn.ReadAsync(Buffer, token).AsTask()),
                PacketCall.Message when blocking => new(() => Take(Message(conn))),
                PacketCall.Message => new(MessageAsync(conn, token)),
                _ when blocking => new(() => conn.WaitToRead() ? 0 : 0), // For a packet of 0 bytes it may tell the end.
                _ => new(WaitAsync(conn, token)),
            };
        }

        /// <summary>Its outcome; None if no receive may end so.</summary>
        public PacketOutcomes Outcome(out int count, out string text)
        {
            count = 0;
            try
            {
                count = Operation.Task.GetAwaiter().GetResult();
                text = op.Call == PacketCall.Wait ? "over" : $"{count}{(IsTruncated is true ? ", cut" : "")}";
                return count > op.Count ? PacketOutcomes.None : PacketOutcomes.Done;
            }
#pragma warning disable CA1031 // The model judges every exception.
            catch (Exception e)
#pragma warning restore CA1031
            {
                text = e.Message;
                return e switch
                {
                    OperationCanceledException canceled when canceled.CancellationToken == source?.Token => PacketOutcomes.Canceled,
                    NetOpException { IsTimeout: true, IsClosed: false } => PacketOutcomes.Timeout,
                    NetOpException { IsClosed: true } => PacketOutcomes.Closed,
                    _ => PacketOutcomes.None,
                };
            }
        }

        private ReceivedMessage Message(Conn conn) =>
            conn is UdpConn udp ? udp.ReceiveMessage(Buffer, default, _address) : ((UnixConn)conn).ReceiveMessage(Buffer, default, _address);

        private async Task<int> MessageAsync(Conn conn, CancellationToken token) => Take(conn is UdpConn udp
            ? await udp.ReceiveMessageAsync(Buffer, default, _address, token).ConfigureAwait(false)
            : await ((UnixConn)conn).ReceiveMessageAsync(Buffer, default, _address, token).ConfigureAwait(false));

        private int Take(ReceivedMessage message)
        {
            IsTruncated = message.IsTruncated;
            if (_address is not null) Sender = op.End.Peer.Address!.Create(_address);
            return message.Bytes;
        }

        private static async Task<int> WaitAsync(Conn conn, CancellationToken token)
        {
            await conn.WaitToReadAsync(token).ConfigureAwait(false);
            return 0;
        }
    }
}
