using Poller.Abstractions;

namespace Poller.Net;

internal abstract unsafe partial class UnixSocketApi
{
    public virtual IoResult ReceiveMessages(nint fd, MessageBatch batch)
    {
        if (TryTakePending(batch, out IoResult pending)) return pending;
        for (int i = 0; i < batch.Capacity; i++)
        {
            Span<byte> control = batch.TakesControl ? batch.ControlOf(i) : default;
            IoResult result = ReceiveMessage(fd, batch.BufferOf(i), batch.AddressOf(i), control, out MessageInfo info);
            if (!result.IsSuccess) return Stop(batch, i, result);
            batch.Slots[i] = new MessageSlot
            {
                Length = result.Value,
                AddressLength = info.AddressLength,
                ControlLength = info.ControlLength,
                IsTruncated = info.IsTruncated,
                IsControlTruncated = info.IsControlTruncated,
                IsReceived = true,
            };
        }
        return batch.Capacity;
    }

    public virtual IoResult SendMessages(nint fd, MessageBatch batch, int first)
    {
        if (TryTakePending(batch, out IoResult pending)) return pending;
        for (int i = first; i < batch.Count; i++)
        {
            ref readonly MessageSlot slot = ref batch.Slots[i];
            ReadOnlySpan<byte> buffer = batch.BufferOf(i)[..slot.Length];
            IoResult result = SendMessage(
                fd, buffer, batch.AddressOf(i)[..slot.AddressLength], batch.ControlOf(i)[..slot.ControlLength]);
            if (!result.IsSuccess) return Stop(batch, i - first, result);
        }
        return batch.Count - first;
    }

    private static bool TryTakePending(MessageBatch batch, out IoResult pending)
    {
        pending = batch.Pending;
        batch.Pending = Errno.None;
        return pending != 0;
    }

    // The messages that are done come first. EAGAIN and EINTR come again, and another error was taken from the socket.
    private static IoResult Stop(MessageBatch batch, int done, IoResult result)
    {
        if (done == 0) return result;
        if (result != Errno.EAGAIN && result != Errno.EINTR) batch.Pending = result.Errno;
        return done;
    }
}
