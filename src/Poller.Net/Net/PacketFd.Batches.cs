using System.Net;
using Poller.Abstractions;

namespace Poller.Net;

// Many datagrams in one system call. Go has this in golang.org/x/net: ipv4.PacketConn.ReadBatch and WriteBatch.

internal partial class PacketFd
{
    private const string ReceiveBatchName = "receive batch";
    private const string SendBatchName = "send batch";

    public ValueTask<int> ReceiveBatchAsync(MessageBatch batch, CancellationToken token)
    {
        BatchAttempt attempt = new(batch, sends: false);
        return StartAsync<BatchAttempt, int>(Direction.Read, ref attempt, token);
    }

    public ValueTask SendBatchAsync(MessageBatch batch, CancellationToken token)
    {
        batch.Sent = 0;
        BatchAttempt attempt = new(batch, sends: true);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="ReceiveBatchAsync"/>.</summary>
    public int ReceiveBatch(MessageBatch batch)
    {
        BatchAttempt attempt = new(batch, sends: false);
        return Run<BatchAttempt, int>(Direction.Read, ref attempt);
    }

    /// <summary>The blocking form of <see cref="SendBatchAsync"/>.</summary>
    public void SendBatch(MessageBatch batch)
    {
        batch.Sent = 0;
        BatchAttempt attempt = new(batch, sends: true);
        Run<BatchAttempt, int>(Direction.Write, ref attempt);
    }

    private IoResult TryReceiveBatch(MessageBatch batch)
    {
        bool joins = ReceivesSegments;
        batch.TakesControl = joins;
        IoResult result;
        do
        {
            result = Api.ReceiveMessages(Fd, batch);
        }
        while (result == Errno.EINTR);
        if (!result.IsSuccess) return result;
        batch.Count = result.Value;
        NoteBytes(Direction.Read, batch, 0, batch.Count);
        for (int i = 0; i < batch.Count; i++)
        {
            ref MessageSlot slot = ref batch.Slots[i];
            if (joins) slot.SegmentSize = SegmentSizeIn(batch.ControlOf(i)[..slot.ControlLength]);
            slot.IsControlTruncated &= joins && slot.SegmentSize == 0; // Of the control data, a batch has the size alone.
        }
        return result;
    }

    private IoResult TrySendBatch(MessageBatch batch)
    {
        Prepare(batch);
        while (batch.Sent < batch.Count)
        {
            IoResult result = Api.SendMessages(Fd, batch, batch.Sent);
            if (result.IsSuccess)
            {
                NoteBytes(Direction.Write, batch, batch.Sent, result.Value);
                batch.Sent += result.Value;
            }
            else if (result == Errno.EAGAIN) return result;
            else if (result != Errno.EINTR) throw RefusedAt(batch, batch.Sent, result.Errno);
        }
        return batch.Sent;
    }

    // Gives each message the address and the control data that this socket's family and system have. Doing it again changes nothing. With a
    // peer, the sender of a message that was received is dropped, and any other address is refused, as in a send of one.
    private void Prepare(MessageBatch batch)
    {
        for (int i = batch.Sent; i < batch.Count; i++)
        {
            ref MessageSlot slot = ref batch.Slots[i];
            if (_hasPeer && slot.AddressLength > 0)
            {
                if (!slot.IsReceived) throw RefusedAt(batch, i, Errno.EISCONN);
                slot.AddressLength = 0;
            }
            Span<byte> address = batch.AddressOf(i);
            slot.AddressLength = SocketAddressBytes.ForFamily(_family, address[..slot.AddressLength], address).Length;
            slot.ControlLength = slot.SegmentSize == 0 ? 0 : SegmentControl(slot.SegmentSize, batch.ControlOf(i)).Length;
        }
    }

    private void NoteBytes(Direction direction, MessageBatch batch, int start, int count)
    {
        if (!CountsBytes) return;
        foreach (ref readonly MessageSlot slot in batch.Slots.AsSpan(start, count)) NoteBytes(direction, slot.Length);
    }

    private NetOpException RefusedAt(MessageBatch batch, int index, Errno error)
    {
        ref readonly MessageSlot slot = ref batch.Slots[index];
        EndPoint? to = SocketAddressBytes.ToEndPoint(_network.Family, batch.AddressOf(index)[..slot.AddressLength]);
        string where = $"datagram {index} of {batch.Count}";
        string? hint = HintForSend(error, to, slot.Length, slot.SegmentSize);
        return Refused(SendBatchName, error, hint is null ? where : $"{where}: {hint}", to);
    }

    private struct BatchAttempt(MessageBatch batch, bool sends) : IAttempt<int>
    {
        private MessageBatch? _batch = batch;

        public int Result { get; private set; }

        public readonly string Name => sends ? SendBatchName : ReceiveBatchName;

        public IoResult Try(PollFd fd)
        {
            IoResult result = sends ? ((PacketFd)fd).TrySendBatch(_batch!) : ((PacketFd)fd).TryReceiveBatch(_batch!);
            if (result.IsSuccess) Result = result.Value;
            return result;
        }

        public void Release() => _batch = null;
    }
}
