using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

internal sealed unsafe partial class LinuxSocketApi
{
    // Some sandboxes do not have the two calls. A racy write is harmless.
    private static bool _lacksBatches;

    public override IoResult ReceiveMessages(nint fd, MessageBatch batch)
    {
        if (_lacksBatches) return base.ReceiveMessages(fd, batch);
        batch.PrepareReceive();
        IoResult result;
        fixed (MessageBatch.Header* headers = batch.Headers)
        {
            result = Transferred(recvmmsg((int)fd, headers, (uint)batch.Capacity, MSG_DONTWAIT | Numbers.MSG_CMSG_CLOEXEC, null));
        }
        if (result.IsSuccess) batch.TakeReceived(result.Value, Numbers.MSG_TRUNC, Numbers.MSG_CTRUNC);
        return IsMissing(result) ? base.ReceiveMessages(fd, batch) : result;
    }

    public override IoResult SendMessages(nint fd, MessageBatch batch, int first)
    {
        if (_lacksBatches) return base.SendMessages(fd, batch, first);
        batch.PrepareSend(first);
        IoResult result;
        fixed (MessageBatch.Header* headers = batch.Headers)
        {
            result = Transferred(sendmmsg((int)fd, headers + first, (uint)(batch.Count - first), MSG_DONTWAIT | MSG_NOSIGNAL));
        }
        return IsMissing(result) ? base.SendMessages(fd, batch, first) : result;
    }

    private static bool IsMissing(IoResult result) => result == Errno.ENOSYS && (_lacksBatches = true);

    // Without SetLastError; see Transferred.
    [LibraryImport(Library)]
    private static partial int recvmmsg(int fd, void* messages, uint count, int flags, void* timeout);

    [LibraryImport(Library)]
    private static partial int sendmmsg(int fd, void* messages, uint count, int flags);
}
