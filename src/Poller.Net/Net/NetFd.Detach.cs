using System.Buffers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net;

// Detaching: the descriptor leaves the poller, and goes to the user instead of being closed. Adopting is the reverse. SocketEnd says who
// ends the descriptor.

internal partial class NetFd
{
    // Few are detached, so what one needs for it costs the others nothing. Its continuations run on the pool, and never on the stack of the
    // operation that leaves the descriptor last.
    private static readonly ConditionalWeakTable<NetFd, TaskCompletionSource> LeftBy = [];

    /// <summary>
    /// Puts a socket that comes from elsewhere into a poller. It is its user's until <see cref="Own"/>. <see cref="AdoptedState"/> has what
    /// this changes.
    /// </summary>
    public static NetFd Adopt(Netpoller poller, SocketNetwork network, nint fd)
    {
        Span<byte> peer = stackalloc byte[SocketAddressBytes.MaxLength];
        bool hasPeer = network.Api.PeerName(fd, peer, out int length).IsSuccess;
        return Adopt(poller, Create(network, fd, hasPeer ? SocketAddressBytes.ToEndPoint(network.Family, peer[..length]) : null));
    }

    protected static T Adopt<T>(Netpoller poller, T made, KeepAliveConfig? keepAlive = null) where T : NetFd
    {
        made._socketEnd = SocketEnd.Detached;
        made.BeforeControl(); // Its user may have set SO_LINGER.
        try
        {
            const string Operation = "adopt";
            try
            {
                made.Init(poller);
            }
            catch (NetpollException e)
            {
                throw NetOpException.Refused(Operation, made.Network, null, null, SocketErrors.ToException(e.Error), e.Message);
            }
            catch (ObjectDisposedException e)
            {
                throw new ObjectDisposedException($"{Operation} {made.Network}: its poller was disposed before the operation.", e);
            }

            IoResult result = NewSocket.SetDefaults(made._network, made.Fd, keepAlive ?? KeepAliveConfig.Default);
            if (result.IsSuccess) result = made.Api.SetUp(made.Fd);
            return result.IsSuccess ? made : throw made.Failed(Operation, result);
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Takes an adopted socket over. Nobody else has it yet.</summary>
    public void Own() => _socketEnd.Own();

    public SafeSocketHandle Detach() => WaitFor("detach", DetachAsync);

    public async Task<SafeSocketHandle> DetachAsync()
    {
        TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (IsClosed || !LeftBy.TryAdd(this, left) || !_socketEnd.TryDetach()) throw Failed("detach", IoResult.Disposed);
        Dispose();
        await left.Task.ConfigureAwait(false);
        SafeSocketHandle handle = new(Fd, ownsHandle: true);
        IoResult result = Api.SetNonBlocking(Fd, false);
        if (result.IsSuccess) return handle;
        handle.Dispose();
        throw Refused("detach", Network, _local, _remote, result);
    }

    /// <summary>Another descriptor of the same socket. While it is open, the close of this one does not end the connection.</summary>
    public SafeSocketHandle Duplicate()
    {
        const string Operation = "duplicate";
        using Reference held = Hold(Operation);
        BeforeControl(); // Its user may set SO_LINGER.
        IoResult result = Api.Duplicate(Fd);
        return result.IsSuccess ? new SafeSocketHandle(result.Value, ownsHandle: true) : throw Failed(Operation, result);
    }

    /// <summary>For whoever leaves last: whether the descriptor is to be closed, and not detached. The answer never changes.</summary>
    protected bool TryClose() => _socketEnd.TryClose();

    // The operations of the descriptor have ended, so nobody else reads.
    protected override void CloseDescriptor(PollLoop? loop)
    {
        if (_socketEnd == SocketEnd.Emptied) DropUnread();
        if (TryClose()) base.CloseDescriptor(loop);
        else if (LeftBy.TryGetValue(this, out TaskCompletionSource? left)) left.SetResult();
    }

    // A TCP peer may send for ever, so no more than its socket's buffer holds is dropped. To a Unix socket nothing comes any more.
    private void DropUnread()
    {
        long left = long.MaxValue;
        if (!_network.IsUnix)
        {
            IoResult told = Api.GetOption(Fd, SocketOptionLevel.Socket, SocketOptionName.ReceiveBuffer, out int size);
            left = told.IsSuccess ? size : 0;
        }
        byte[] buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        IoResult result;
        do
        {
            result = Api.Receive(Fd, buffer);
            if (result.IsSuccess) left -= result.Value;
        }
        while (result == Errno.EINTR || (result.IsSuccess && result.Value > 0 && left > 0));
        ArrayPool<byte>.Shared.Return(buffer);
    }
}
