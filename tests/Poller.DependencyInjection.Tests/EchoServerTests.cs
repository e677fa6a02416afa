using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Poller.DependencyInjection.Tests;

/// <summary>The sample's process: its exit codes, and what it and a service manager tell each other.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed partial class EchoServerTests
{
    private const string AnyPort = "tcp:127.0.0.1:0";

    [Fact]
    public async Task A_port_in_use_is_one_line_and_exit_code_1()
    {
        using Socket holder = Listening();
        using EchoServerProcess server = new("", "--listen", $"tcp:{holder.LocalEndPoint}");
        (int code, string error) = await server.ExitAsync();
        Assert.Equal(1, code);
        Assert.StartsWith($"listen tcp {holder.LocalEndPoint}: Address already in use", error, StringComparison.Ordinal);
        Assert.Equal(1, error.Count(static c => c == '\n'));
    }

    [Fact]
    public async Task A_second_signal_closes_the_connections_that_are_left()
    {
        using EchoServerProcess server = new("", "--listen", AnyPort);
        using Socket client = await ListenerHost.ConnectToAsync(await server.ListeningAsync());
        Assert.Equal(1, await client.AskAsync(1));
        server.Terminate();
        Assert.Equal("waiting up to 5 s for 1 open connection; another signal ends the wait", await server.ComplaintAsync());
        server.Terminate();
        await client.AssertEndsAsync();
        Assert.Equal(0, (await server.ExitAsync()).Code);
    }

    [Theory, InlineData("async"), InlineData("blocking")]
    public async Task A_connection_that_sends_nothing_is_closed(string style)
    {
        using EchoServerProcess server = new("", "--listen", AnyPort, "--idle-timeout", "2", "--style", style);
        using Socket client = await ListenerHost.ConnectToAsync(await server.ListeningAsync());
        Assert.Equal(1, await client.AskAsync(1));
        await client.AssertEndsAsync();
        server.Terminate();

        // The end is here before the handler has ended, so the server may say that it waits for a connection.
        Assert.Equal(0, (await server.ExitAsync()).Code);
    }

    // With Type=notify, a service has started when it says READY=1, and stops when it says STOPPING=1 (systemd.service(5), sd_notify(3)).
    // Microsoft.Extensions.Hosting.Systemd knows systemd by the name of the parent process, so here a shell has that name.
    [Fact]
    public async Task It_tells_systemd_when_it_is_ready_and_when_it_stops()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("notify-");
        try
        {
            string path = Path.Combine(folder.FullName, "notify.sock");
            string parent = Path.Combine(folder.FullName, "systemd");
            File.CreateSymbolicLink(parent, "/bin/bash");
            using Socket manager = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            manager.Bind(new UnixDomainSocketEndPoint(path));
            using EchoServerProcess server = EchoServerProcess.Under(parent, path, "--listen", AnyPort);
            Assert.Equal("READY=1", await ReceiveAsync(manager));
            using Socket client = await ListenerHost.ConnectToAsync(await server.ListeningAsync());
            Assert.Equal(1, await client.AskAsync(1));
            server.Terminate();
            Assert.Equal("STOPPING=1", await ReceiveAsync(manager));

            // It waits for the connection.
            Assert.Equal(2, await client.AskAsync(2));
            client.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, (await server.ExitAsync()).Code);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // systemd.socket(5), FileDescriptorName=. The manager keeps the socket, so the next start of the service finds it listening.
    [Fact]
    public async Task It_takes_the_socket_that_a_service_manager_has_opened()
    {
        using Socket managers = Listening();
        for (int start = 1; start <= 2; start++)
        {
            // The first byte waits in the socket's backlog when the server starts.
            using Socket client = await ListenerHost.ConnectToAsync(managers.LocalEndPoint!);
            await client.SendAsync(new byte[] { 42 });
            using EchoServerProcess server = Activated(managers, "echo", "--listen", "tcp:127.0.0.1:1");
            Assert.Equal(managers.LocalEndPoint, await server.ListeningAsync());
            byte[] got = new byte[1];
            Assert.Equal(1, await client.ReceiveAsync(got).WaitAsync(ListenerHost.Patience));
            client.Dispose();
            server.Terminate();
            Assert.Equal(0, (await server.ExitAsync()).Code);
        }
    }

    [Fact]
    public async Task A_socket_of_another_name_is_not_taken_and_the_log_names_it()
    {
        using Socket managers = Listening();
        using EchoServerProcess server = Activated(managers, "http", "--listen", AnyPort);
        Assert.NotEqual(managers.LocalEndPoint, await server.ListeningAsync());
        server.Terminate();
        (int code, string error) = await server.ExitAsync();
        Assert.Equal(0, code);
        Assert.Contains(
            "echo: the service manager has handed over no socket of this name, but \"http\"; it takes tcp 127.0.0.1:0.",
            error,
            StringComparison.Ordinal);
    }

    private static Socket Listening()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen();
        return socket;
    }

    // The manager's socket becomes descriptor 3 of the server. A duplicate by dup(2) is not close-on-exec.
    private static EchoServerProcess Activated(Socket socket, string name, params string[] arguments)
    {
        int inherited = dup((int)socket.Handle);
        Assert.True(inherited >= 0, Marshal.GetLastPInvokeErrorMessage());
        try
        {
            string before = $"exec 3<&{inherited} {inherited}<&-; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}";
            return new EchoServerProcess(before, arguments);
        }
        finally
        {
            Assert.Equal(0, close(inherited));
        }
    }

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        byte[] buffer = new byte[256];
        return Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer).WaitAsync(ListenerHost.Patience));
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int dup(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);
}
