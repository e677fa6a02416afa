using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Poller.Net.Tests;

/// <summary>Programs that are not ours, at the other end of a Unix socket.</summary>
public abstract class UnixInteropTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [ProgramFact("curl")]
    public async Task Curl_is_served()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        string path = directory.NewPath();
        using UnixConnListener listener = (UnixConnListener)fixture.Net.Listen("unix", path);
        Task serving = ServeAsync();
        using Process curl = Program.Start("curl", "--silent", "--show-error", "--unix-socket", path, "http://localhost/greeting");
        Assert.Equal("Hello, curl", await curl.StandardOutput.ReadToEndAsync().Within());
        await curl.WaitForExitAsync().Within();
        Assert.Equal(0, curl.ExitCode);
        await serving.Within();

        async Task ServeAsync()
        {
            using UnixConn conn = await listener.AcceptUnixAsync();
            using StreamReader reader = new(conn, Encoding.ASCII, leaveOpen: true);
            Assert.Equal("GET /greeting HTTP/1.1", await reader.ReadLineAsync());
            while (await reader.ReadLineAsync() is { Length: > 0 }) { }
            await conn.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\nHello, curl"u8.ToArray());
        }
    }

    [ProgramTheory("socat"), InlineData("unix", ""), InlineData("unixpacket", ",socktype=5")]
    public async Task Socat_echoes_what_is_dialed(string network, string options)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        string path = directory.NewPath();
        using Process socat = Program.Start("socat", $"UNIX-LISTEN:{path}{options}", "PIPE");
        using Conn conn = await DialAsync();
        foreach (string text in (string[])["one", "two and more"])
        {
            await conn.WriteAsync(Encoding.ASCII.GetBytes(text)).Within();
            byte[] buffer = new byte[64];
            Assert.Equal(text.Length, await conn.ReadAtLeastAsync(buffer, text.Length).Within());
            Assert.Equal(text, Encoding.ASCII.GetString(buffer, 0, text.Length));
        }
        conn.CloseWrite();
        Assert.Equal(0, await conn.ReadAsync(new byte[1]).Within());
        await socat.WaitForExitAsync().Within();

        // It listens a moment after it has started.
        async Task<Conn> DialAsync()
        {
            for (long start = Stopwatch.GetTimestamp(); ;)
            {
                try
                {
                    return await fixture.Net.DialAsync(network, path).Within();
                }
                catch (NetOpException) when (Stopwatch.GetElapsedTime(start) < Fixture.Patience && !socat.HasExited)
                {
                    await Task.Delay(5);
                }
            }
        }
    }

    [ProgramFact("socat")]
    public async Task Socat_is_answered_by_datagrams()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        string own = directory.NewPath();
        using Process socat = Program.Start("socat", "-", $"UNIX-SENDTO:{server.LocalEndPoint},bind={own}");
        await socat.StandardInput.WriteAsync("ping");
        await socat.StandardInput.FlushAsync();
        byte[] buffer = new byte[64];
        SocketReceiveFromResult received = await server.ReceiveFromAsync(buffer).AsTask().Within();
        Assert.Equal("ping", Encoding.ASCII.GetString(buffer, 0, received.ReceivedBytes));
        Assert.Equal(own, received.RemoteEndPoint.ToString());
        await server.SendToAsync("pong"u8.ToArray(), received.RemoteEndPoint).Within();
        char[] answer = new char[4];
        Assert.Equal(4, await socat.StandardOutput.ReadBlockAsync(answer, 0, 4).Within());
        Assert.Equal("pong", new string(answer));
        socat.StandardInput.Close();
        socat.Kill();
        await socat.WaitForExitAsync().Within();
    }

    [ProgramFact("nc")]
    public async Task Netcat_talks()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using UnixConnListener listener = fixture.Net.ListenUnix(path);
        using Process nc = Program.Start("nc", "-U", path.ToString());
        using UnixConn conn = await listener.AcceptUnixAsync().Within();
        await nc.StandardInput.WriteAsync("hello");
        await nc.StandardInput.FlushAsync();
        byte[] buffer = new byte[16];
        Assert.Equal(5, await conn.ReadAsync(buffer).Within());
        await conn.WriteAsync("bye!"u8.ToArray()).Within();
        conn.CloseWrite();
        conn.Dispose();
        Assert.Equal("bye!", await nc.StandardOutput.ReadToEndAsync().Within());
        nc.StandardInput.Close();
        await nc.WaitForExitAsync().Within();
    }
}

/// <summary>Programs that a test talks to.</summary>
internal static class Program
{
    public static Process Start(string name, params string[] arguments) => Process.Start(new ProcessStartInfo(name, arguments)
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
    })!;

    /// <summary>Why a test that needs a program is skipped; null if the program is there.</summary>
    public static string? WhyNot(string name)
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        bool isThere = path.Split(':').Any(folder => File.Exists(Path.Combine(folder, name)));
        return isThere ? null : $"{name} is not installed; apt-get install {(name == "nc" ? "netcat-openbsd" : name)}";
    }
}

/// <summary>A test that needs a program.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ProgramFactAttribute : FactAttribute
{
    public ProgramFactAttribute(string name) => Skip = Program.WhyNot(name);
}

/// <inheritdoc cref="ProgramFactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ProgramTheoryAttribute : TheoryAttribute
{
    public ProgramTheoryAttribute(string name) => Skip = Program.WhyNot(name);
}
