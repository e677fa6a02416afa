using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace Poller.DependencyInjection.Tests;

/// <summary>A process of <c>samples/EchoServer</c>. Disposing it ends it.</summary>
internal sealed partial class EchoServerProcess : IDisposable
{
    private readonly Process _process;
    private int _server; // Its number. The process above is the server, or its parent.

    /// <param name="before">What the shell does before it becomes the server, such as setting variables.</param>
    /// <param name="arguments">The server's command line.</param>
    public EchoServerProcess(string before, params string[] arguments)
        : this("bash", null, $"{before} exec \"$0\" exec \"$@\"", arguments) => _server = _process.Id;

    private EchoServerProcess(string shell, string? notifySocket, string script, string[] arguments)
    {
        string server = Path.Combine(AppContext.BaseDirectory, "EchoServer.dll");
        ProcessStartInfo start = new(shell, ["-c", script, Environment.ProcessPath!, server, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NOTIFY_SOCKET"] = notifySocket;
        _process = Process.Start(start)!;
    }

    /// <summary>Starts it as the child of a shell, with systemd's socket for notifications.</summary>
    public static EchoServerProcess Under(string shell, string notifySocket, params string[] arguments)
    {
        EchoServerProcess process = new(shell, notifySocket, "\"$0\" exec \"$@\" & echo $!; wait $!", arguments);
        process._server = int.Parse(process._process.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
        return process;
    }

    /// <summary>The address that it says it listens on.</summary>
    public async Task<IPEndPoint> ListeningAsync()
    {
        string? line = await _process.StandardOutput.ReadLineAsync().WaitAsync(ListenerHost.Patience);
        Match match = Listening().Match(line ?? "");
        if (!match.Success) Assert.Fail($"it said: {line}\n{(line is null ? await _process.StandardError.ReadToEndAsync() : "")}");
        return IPEndPoint.Parse(match.Groups[1].Value);
    }

    /// <summary>The next line of its standard error stream.</summary>
    public async Task<string?> ComplaintAsync() => await _process.StandardError.ReadLineAsync().WaitAsync(ListenerHost.Patience);

    public void Terminate()
    {
        using Process kill = Process.Start("kill", ["-TERM", $"{_server}"]);
        kill.WaitForExit();
    }

    /// <summary>Awaits its end. Returns the exit code and what else it wrote to the standard error stream.</summary>
    public async Task<(int Code, string Error)> ExitAsync()
    {
        string error = await _process.StandardError.ReadToEndAsync().WaitAsync(ListenerHost.Patience);
        await _process.WaitForExitAsync().WaitAsync(ListenerHost.Patience);
        return (_process.ExitCode, error);
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    [GeneratedRegex(@"^listening on tcp (\S+) \(\w+, adaptive, 1 loop\)$")]
    private static partial Regex Listening();
}
