using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Poller.Net.Tests;

/// <summary>The sockets that a service manager hands over, in a poller.</summary>
public abstract class ActivatedListenerTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task A_listener_of_the_manager_is_adopted_by_its_name()
    {
        using Fixture fixture = new();
        using Socket listening = Raw.Listen();
        (Fd read, Fd write) = Fd.Pipe();
        using (write)
        {
            int first = SocketActivationTests.Consecutive(new Fd((int)listening.Handle), read);
            read.Dispose();
            SocketActivationTests.Variables variables = new($"{Environment.ProcessId}", "2", "http:control");

            IReadOnlyList<ActivatedDescriptor> taken = SocketActivation.Take(variables.Take, Environment.ProcessId, first);

            Assert.Equal(["http", "control"], taken.Select(static one => one.Name));
            Assert.Empty(variables.Left);
            Assert.IsType<SafeFileHandle>(taken[1].Handle);
            Assert.All(taken, static one => Assert.True(UnixFileApi.IsCloseOnExec(one.Handle.DangerousGetHandle()) == 1, one.Name));
            using (ConnListener listener = fixture.Net.AdoptListener(taken[0].Handle))
            using (PolledFile control = new(fixture.Poller, taken[1].Handle))
            {
                Assert.Equal(listening.LocalEndPoint, listener.LocalEndPoint);
                using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
                using Conn conn = await listener.AcceptAsync().Within();
                Assert.Equal(1, Fd.Write(write, [7]));
                Assert.Equal(1, await control.ReadAsync(new byte[4]).Within());
            }
        }
    }

    [Fact]
    public async Task The_close_of_an_adopted_listener_leaves_the_managers_socket_listening()
    {
        using Fixture fixture = new();
        using Socket managers = Raw.Listen();
        await using (ConnListener listener = fixture.Net.AdoptListener(Duplicate(managers)))
        {
            ValueTask<Conn> accepting = listener.AcceptAsync();
            listener.Dispose();
            await Assert.ThrowsAsync<NetOpException>(() => accepting.Within());
        }
        using Socket waits = await Raw.ConnectAsync(managers.LocalEndPoint!);
        await using ConnListener next = fixture.Net.AdoptListener(Duplicate(managers));
        using Conn conn = await next.AcceptAsync().Within();
        Assert.Equal(waits.LocalEndPoint, conn.RemoteEndPoint);
    }

    [Fact]
    public async Task An_adopted_listener_has_the_limits_of_its_options()
    {
        using Fixture fixture = new();
        using Socket managers = Raw.Listen();
        ListenOptions options = new()
        {
            MaxConnections = 1,
            IdleTimeout = TimeSpan.FromMilliseconds(40),
            KeepAlive = new KeepAliveConfig { Idle = TimeSpan.FromSeconds(77) },
        };
        await using ConnListener listener = fixture.Net.AdoptListener(Duplicate(managers), options);
        using Socket first = await Raw.ConnectAsync(managers.LocalEndPoint!);
        using Socket second = await Raw.ConnectAsync(managers.LocalEndPoint!);
        Conn conn = await listener.AcceptAsync().Within();
        Assert.Equal(77, conn.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
        Operation<Conn> accepting = listener.StartAccept(blocking: false).Waiting();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => conn.ReadAsync(new byte[1]).Within());
        Assert.True(e.IsTimeout, e.Message);
        conn.Dispose();
        using Conn next = await accepting.Within();
        Assert.Equal(second.LocalEndPoint, next.RemoteEndPoint);
    }

    // As a service manager hands a socket over: another number of the same open socket.
    private static nint Duplicate(Socket socket) => new Fd((int)socket.Handle).Duplicate();
}
