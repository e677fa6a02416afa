using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>Sockets whose open file description has another holder, which clears O_NONBLOCK as a detach does.</summary>
public abstract class SharedSocketTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task A_detach_of_a_duplicate_leaves_the_other_holders_deadlines_in_force()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using Conn other = fixture.Net.AdoptConn(new Fd((int)Raw.FdOf(server)).Duplicate().Release());
        using Socket socket = new(await other.DetachAsync().Within());
        Assert.Equal(0, UnixFileApi.IsNonBlocking(Raw.FdOf(server)).Value); // The flag is one for both.
        await TimesOutAsync(server, () => server.ReadAsync(new byte[8]).AsTask());
        client.Write([1]);
        Assert.Equal(1, await server.ReadAsync(new byte[8]).Within());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_read_of_a_stream_waits_in_the_poller(bool blocking)
    {
        using Fixture fixture = new();
        (_, TcpConn tcp) = await fixture.PairAsync();
        (UnixConn unixClient, UnixConn unix) = await fixture.UnixPairAsync();
        using (unixClient)
        using (unix)
        {
            MakeBlocking(Raw.FdOf(tcp));
            MakeBlocking(unix.Raw.Control(0, static (fd, _) => fd));
            byte[] buffer = new byte[8];
            Memory<byte>[] pieces = [new byte[4], new byte[4]];
            foreach (Conn conn in (Conn[])[tcp, unix])
            {
                await TimesOutAsync(conn, () => blocking ? Task.FromResult(conn.Read(buffer)) : conn.ReadAsync(buffer).AsTask());
                await TimesOutAsync(conn, () => blocking ? Task.FromResult(conn.Peek(buffer)) : conn.PeekAsync(buffer).AsTask());
                await TimesOutAsync(conn, () => blocking ? Task.FromResult(conn.Read(pieces)) : conn.ReadAsync(pieces).AsTask());
            }
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_write_into_a_full_socket_waits_in_the_poller(bool blocking)
    {
        using Fixture fixture = new();
        (_, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[64 << 20];
        ReadOnlyMemory<byte>[] pieces = [buffer, buffer];
        MakeBlocking(Raw.FdOf(server));
        await TimesOutAsync(server, () => server.StartWrite(blocking, buffer).Task);
        await TimesOutAsync(server, () =>
        {
            if (!blocking) return server.WriteAsync(pieces).AsTask();
            server.Write(pieces);
            return Task.CompletedTask;
        });
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_send_to_a_full_receiver_waits_in_the_poller(bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn others = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn conn = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        await others.FillAsync(server);
        MakeBlocking(conn.Raw.Control(0, static (fd, _) => fd));
        await TimesOutAsync(conn, () => conn.StartSendTo(blocking, new byte[1], server.LocalEndPoint).Task);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_receive_of_datagrams_waits_in_the_poller(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(Raw.AnyLoopbackPort);
        MakeBlocking(conn.Raw.Control(0, static (fd, _) => fd));
        byte[] buffer = new byte[8];
        byte[] control = new byte[64];
        UdpBatch batch = new(4);
        SocketAddress from = new(AddressFamily.InterNetwork);
        await TimesOutAsync(
            conn, () => blocking ? Task.FromResult(conn.ReceiveFrom(buffer, from)) : conn.ReceiveFromAsync(buffer, from).AsTask());
        await TimesOutAsync(conn, () => blocking
            ? Task.FromResult(conn.ReceiveMessage(buffer, control, from))
            : conn.ReceiveMessageAsync(buffer, control, from).AsTask());
        await TimesOutAsync(conn, () => blocking ? Task.FromResult(conn.ReceiveBatch(batch)) : conn.ReceiveBatchAsync(batch).AsTask());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task An_accept_of_an_adopted_listener_waits_in_the_poller(bool blocking)
    {
        using Fixture fixture = new();
        using Socket managers = Raw.Listen();
        using ConnListener listener = fixture.Net.AdoptListener(new Fd((int)managers.Handle).Duplicate().Release());
        Task<Conn> accepting = AcceptAsync();
        MakeBlocking(managers.Handle);
        using Socket client = await Raw.ConnectAsync(managers.LocalEndPoint!);
        (await accepting.Within()).Dispose();
        MakeBlocking(managers.Handle);
        accepting = AcceptAsync();
        listener.SetDeadline(Soon);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => accepting.Within());
        Assert.True(e.IsTimeout, e.Message);

        Task<Conn> AcceptAsync() => Task.Run(() => blocking ? Task.FromResult(listener.Accept()) : listener.AcceptAsync().AsTask());
    }

    // The accept looks whether a connection is there, and sets the flag. Meanwhile the other holder clears the flag, or takes the connection.
    [Theory, InlineData(false), InlineData(true)]
    public async Task An_accept_of_an_adopted_listener_waits_in_the_poller_though_another_holder_is_quicker(bool takes)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        using Socket managers = Raw.Listen();
        using ConnListener listener = fixture.Net.AdoptListener(new Fd((int)managers.Handle).Duplicate().Release());
        TaskCompletionSource taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        api.Accepting = () =>
        {
            if (!takes) MakeBlocking(managers.Handle);
            else if (!taken.Task.IsCompleted)
            {
                managers.Accept().Dispose();
                taken.SetResult();
            }
        };
        using Socket? client = takes ? await Raw.ConnectAsync(managers.LocalEndPoint!) : null;
        MakeBlocking(managers.Handle);
        Task<Conn> accepting = Task.Run(() => listener.AcceptAsync().AsTask());
        if (takes) await taken.Task.Within();
        listener.SetDeadline(Soon);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => accepting.Within());
        Assert.True(e.IsTimeout, e.Message);
    }

    private static void MakeBlocking(nint fd) => Assert.Equal(0, UnixFileApi.SetNonBlocking(fd, false).Value);

    // The operation begins on a thread of its own, since a system call that blocks would never give the thread back.
    private static async Task TimesOutAsync(Conn conn, Func<Task> operation)
    {
        conn.SetDeadline(Soon);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => Task.Run(operation).Within());
        Assert.True(e.IsTimeout, e.Message);
        conn.SetDeadline(Timeout.InfiniteTimeSpan);
    }
}
