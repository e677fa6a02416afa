using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Poller.Net.Tests;

/// <summary>Peers that are not ours.</summary>
public abstract class UdpInteropTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, InlineData(false), InlineData(true)]
    public async Task A_UdpClient_is_answered(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using UdpClient client = new(AddressFamily.InterNetwork);
        client.Connect(server.At(IPAddress.Loopback));
        byte[] buffer = new byte[64];
        for (int i = 0; i < 3; i++)
        {
            await client.SendAsync(Encoding.ASCII.GetBytes($"hello {i}"));
            SocketReceiveFromResult received = await server.ReceiveAsync(blocking, buffer);
            Assert.Equal($"hello {i}", Encoding.ASCII.GetString(buffer, 0, received.ReceivedBytes));
            Assert.Equal(client.Client.LocalEndPoint, received.RemoteEndPoint);
            await server.SendToAsync(blocking, buffer.AsMemory(0, received.ReceivedBytes), received.RemoteEndPoint);
            UdpReceiveResult answer = await client.ReceiveAsync().WaitAsync(Fixture.Patience);
            Assert.Equal($"hello {i}", Encoding.ASCII.GetString(answer.Buffer));
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_Socket_is_asked_and_answers(bool blocking)
    {
        using Fixture fixture = new();
        using Socket socket = new(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        using UdpConn client = fixture.Net.DialUdp(socket.LocalEndPoint!);
        await client.WriteAsync(blocking, "question"u8.ToArray());
        byte[] buffer = new byte[64];
        SocketReceiveFromResult asked = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.IPv6Any, 0))
            .WaitAsync(Fixture.Patience);
        Assert.Equal(client.LocalEndPoint, asked.RemoteEndPoint);
        socket.SendTo("answer"u8, asked.RemoteEndPoint);
        Assert.Equal(6, await client.ReadAsync(blocking, buffer));
    }

    [Fact]
    public async Task Socat_echoes()
    {
        string? socat = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(static folder => Path.Combine(folder, "socat"))
            .FirstOrDefault(File.Exists);
        if (socat is null) return; // Install socat for this one.
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using Process process = Process.Start(new ProcessStartInfo(socat, $"- UDP4:127.0.0.1:{server.LocalEndPoint.Port}")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        try
        {
            await process.StandardInput.WriteAsync("hello\n");
            await process.StandardInput.FlushAsync();
            byte[] buffer = new byte[64];
            SocketReceiveFromResult received = await server.ReceiveFromAsync(buffer).Within();
            await server.SendToAsync(buffer.AsMemory(0, received.ReceivedBytes), received.RemoteEndPoint);
            Assert.Equal("hello", await process.StandardOutput.ReadLineAsync().WaitAsync(Fixture.Patience));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }
}
