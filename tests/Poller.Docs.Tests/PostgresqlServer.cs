using System.Diagnostics;

namespace Poller.Docs.Tests;

/// <summary>
/// A PostgreSQL server of a test's own, on a Unix socket in a new folder. Disposing it ends it. If this process is root, the server runs as
/// another user, because it refuses to be root.
/// </summary>
internal sealed class PostgresqlServer : IDisposable
{
    private const string User = "postgres"; // The package makes this user.

    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);
    private static readonly string? Programs = FindPrograms();

    private readonly string _folder;
    private Process? _server;

    private PostgresqlServer(string folder) => _folder = folder;

    /// <summary>Why there can be no server here, or null.</summary>
    public static string? WhyNot { get; } =
        Programs is null || !System.Runtime.InteropServices.NativeLibrary.TryLoad("libpq.so.5", out _)
            ? "needs libpq and a PostgreSQL server: apt-get install libpq5 postgresql"
            : null;

    /// <summary>What libpq takes from the environment to find the server.</summary>
    public Dictionary<string, string> Environment => new() { ["PGHOST"] = _folder, ["PGUSER"] = User, ["PGDATABASE"] = User };

    /// <summary>Makes a database and starts a server. It accepts connections when this returns.</summary>
    public static async Task<PostgresqlServer> StartAsync()
    {
        PostgresqlServer server = new(Directory.CreateTempSubdirectory("poller-pg-").FullName);
        try
        {
            if (System.Environment.IsPrivilegedProcess) await RunAsync("chown", User, server._folder);
            string data = Path.Combine(server._folder, "data");
            (string program, string[] arguments) = AsUser("initdb", "-D", data, "-U", User, "-A", "trust", "--no-sync", "--no-locale");
            await RunAsync(program, arguments);
            await server.RunServerAsync(data);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (_server is not null)
        {
            // SIGKILL would leave the server's children to end by themselves. SIGQUIT ends them too, without a checkpoint.
            using (Process kill = Process.Start("kill", ["-QUIT", $"{_server.Id}"])) kill.WaitForExit();
            if (!_server.WaitForExit(Bound)) _server.Kill(entireProcessTree: true);
            _server.Dispose();
        }
        Directory.Delete(_folder, recursive: true);
    }

    // Debian has the programs in a folder for each version, and not on the PATH.
    private static string? FindPrograms()
    {
        const string Versions = "/usr/lib/postgresql";
        IEnumerable<string> folders = Directory.Exists(Versions)
            ? Directory.GetDirectories(Versions).Select(static folder => Path.Combine(folder, "bin"))
            : [];
        return folders.Concat((System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator))
            .FirstOrDefault(static folder => File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "postgres")));
    }

    // setpriv(1) executes the program, so the process that it starts is the program's.
    private static (string Program, string[] Arguments) AsUser(string name, params string[] arguments)
    {
        string program = Path.Combine(Programs!, name);
        return System.Environment.IsPrivilegedProcess
            ? ("setpriv", [$"--reuid={User}", $"--regid={User}", "--clear-groups", program, .. arguments])
            : (program, arguments);
    }

    private static ProcessStartInfo Info(string program, IEnumerable<string> arguments) => new(program, arguments)
    {
        WorkingDirectory = "/", // The user may not enter ours.
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    };

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(Info(program, arguments))!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource late = new(Bound);
        try
        {
            await process.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }
        if (process.HasExited && process.ExitCode == 0) return;
        throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed:\n{await output}{await error}");
    }

    private async Task RunServerAsync(string data)
    {
        (string program, string[] arguments) = AsUser("postgres", "-D", data, "-k", _folder, "-c", "listen_addresses=", "-c", "fsync=off");
        _server = Process.Start(Info(program, arguments))!;
        TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
        List<string> said = [];
        _server.OutputDataReceived += Hear;
        _server.ErrorDataReceived += Hear;
        _server.BeginOutputReadLine();
        _server.BeginErrorReadLine();
        await ready.Task.WaitAsync(Bound);

        void Hear(object sender, DataReceivedEventArgs e)
        {
            lock (said)
            {
                if (e.Data is null) ready.TrySetException(new InvalidOperationException($"the server ended:\n{string.Join('\n', said)}"));
                else said.Add(e.Data);
            }
            if (e.Data?.Contains("ready to accept connections", StringComparison.Ordinal) == true) ready.TrySetResult();
        }
    }
}

/// <summary>A test that needs a PostgreSQL server.</summary>
public sealed class PostgresqlTheoryAttribute : TheoryAttribute
{
    public PostgresqlTheoryAttribute() => Skip = PostgresqlServer.WhyNot;
}
