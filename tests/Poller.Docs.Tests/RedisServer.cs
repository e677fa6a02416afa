using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Poller.Docs.Tests;

/// <summary>A Redis server of a test's own, which keeps nothing. Disposing it ends it.</summary>
internal sealed class RedisServer : IDisposable
{
    private const string Program = "redis-server";

    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(1);

    private readonly Socket _port;
    private readonly Process _process;

    private RedisServer(Socket port, Process process)
    {
        _port = port;
        _process = process;
    }

    /// <summary>Why there can be no server here, or null.</summary>
    public static string? WhyNot { get; } =
        (System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Any(static folder => File.Exists(Path.Combine(folder, Program)))
            ? null
            : "needs a Redis server: apt-get install redis-server";

    /// <summary>What the docs' programs take from the environment to find the server.</summary>
    public Dictionary<string, string> Environment => new() { ["REDIS_SERVER"] = $"{_port.LocalEndPoint}" };

    /// <summary>Starts a server. It accepts connections when this returns.</summary>
    public static async Task<RedisServer> StartAsync()
    {
        // Bound and not listening, it keeps the port from others and lets the server have it: both have SO_REUSEADDR.
        Socket port = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        port.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        string[] arguments = ["--bind", "127.0.0.1", "--port", $"{((IPEndPoint)port.LocalEndPoint!).Port}", "--save", "", "--appendonly", "no"];
        Process process = Process.Start(new ProcessStartInfo(Program, arguments) { RedirectStandardOutput = true, WorkingDirectory = "/" })!;
        RedisServer server = new(port, process);
        try
        {
            using CancellationTokenSource late = new(Bound);
            List<string> said = [];
            while (await process.StandardOutput.ReadLineAsync(late.Token) is { } line)
            {
                if (line.Contains("eady to accept connections", StringComparison.Ordinal)) return server;
                said.Add(line);
            }
            throw new InvalidOperationException($"the server ended:\n{string.Join('\n', said)}");
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        _port.Dispose();
    }
}

/// <summary>A test that needs a Redis server.</summary>
public sealed class RedisTheoryAttribute : TheoryAttribute
{
    public RedisTheoryAttribute() => Skip = RedisServer.WhyNot;
}
