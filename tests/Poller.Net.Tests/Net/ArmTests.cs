using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>What becomes of a wait for which a level-triggered poller cannot be armed.</summary>
public abstract class ArmTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_refusal_is_the_operations_error_and_the_connection_stays_usable(NetpollDispatch dispatch, bool blocking)
    {
        LevelPoll.Factory backend = new();
        using Netpoller poller = new(backend, new NetpollerOptions { Dispatch = dispatch });
        NetStack net = new(poller);
        (TcpConn client, TcpConn server) = await PairAsync(net);

        backend.OnArm = static () => Errno.EBADF;
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[8]));
        Assert.Equal((SocketError.OperationAborted, "read"), (e.SocketErrorCode, e.Operation));

        backend.OnArm = null;
        Operation<int> reading = server.StartRead(blocking, new byte[8]);
        client.WriteByte(1);
        Assert.Equal(1, await reading.Within());
        client.Dispose();
        server.Dispose();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_wait_that_begins_when_the_poller_is_gone_already_ends_as_by_a_close(NetpollDispatch dispatch, bool blocking)
    {
        LevelPoll.Factory backend = new();
        using Netpoller poller = new(backend, new NetpollerOptions { Dispatch = dispatch });
        NetStack net = new(poller);
        (TcpConn client, TcpConn server) = await PairAsync(net);

        backend.OnArm = () =>
        {
            poller.Dispose();
            Assert.True(backend.Disposed.Wait(Fixture.Patience), "the loop did not end.");
            return Errno.None;
        };
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[8]));
        Assert.True(e.IsClosed, e.Message);
        client.Dispose();
        server.Dispose();
    }

    private static async Task<(TcpConn Client, TcpConn Server)> PairAsync(NetStack net)
    {
        using TcpConnListener listener = net.ListenTcp(Raw.AnyLoopbackPort);
        ValueTask<TcpConn> accepting = listener.AcceptTcpAsync();
        TcpConn client = await net.DialTcpAsync((System.Net.IPEndPoint)listener.LocalEndPoint);
        return (client, await accepting);
    }

    /// <summary>The backend, level-triggered in any case: one that is not has nothing to arm, and is ready all the same.</summary>
    private sealed class LevelPoll(INetpoll inner, LevelPoll.Factory factory) : INetpoll
    {
        public string Name => inner.Name;

        public PollTrigger Trigger => PollTrigger.Level;

        public void Init() => inner.Init();

        public Errno Open(nint fd, PollToken token) => inner.Open(fd, token);

        public Errno Close(nint fd) => inner.Close(fd);

        public Errno Arm(nint fd, PollMode mode)
        {
            if (factory.OnArm?.Invoke() is { } error && error != Errno.None) return error;
            ObjectDisposedException.ThrowIf(factory.Disposed.IsSet, this);
            return inner.Trigger == PollTrigger.Level ? inner.Arm(fd, mode) : Errno.None;
        }

        public int Poll(Span<PollEvent> events, long delay) => inner.Poll(events, delay);

        public void Break() => inner.Break();

        public void Dispose()
        {
            inner.Dispose();
            factory.Disposed.Set();
        }

        public sealed class Factory : INetpollFactory
        {
            /// <summary>Called before each Arm: 0, or the errno it is refused with.</summary>
            public Func<Errno>? OnArm { get; set; }

            public ManualResetEventSlim Disposed { get; } = new();

            public string Name => TBackend.Factory.Name;

            public bool IsSupported([NotNullWhen(false)] out string? reason) => TBackend.Factory.IsSupported(out reason);

            public INetpoll Create() => new LevelPoll(TBackend.Factory.Create(), this);
        }
    }
}
