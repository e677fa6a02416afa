using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace SideBySide;

/// <summary>A peer is not available on this machine; the message says why.</summary>
internal sealed class PeerMissingException(string message) : Exception(message);

/// <summary>A peer failed. The message names it and contains what it wrote to stderr.</summary>
internal sealed class PeerFailedException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// The memory that a peer with managed memory reports, in bytes, and the number of methods that its JIT has compiled, some in several
/// tiers.
/// </summary>
internal readonly record struct PeerStatistics(long? Allocated, long? Managed, long? Compiled);

/// <summary>
/// A peer's process, from its first line to its end. It ends by itself when its input ends, so also when the harness dies. Disposing a
/// process that still runs kills it, by its id.
/// </summary>
internal sealed class Server : IDisposable
{
    private const int NotPermitted = 77; // The exit code with which automake's tests say "skipped".
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    // Constant.
    private readonly Peer _peer;
    private readonly Process _process;

    // Guarded by its own lock.
    private readonly StringBuilder _errors = new();

    private Server(Peer peer, Process process)
    {
        _peer = peer;
        _process = process;
    }

    public int Id => _process.Id;
    public int Port { get; private set; }

    /// <summary>Starts a peer, and returns when it listens. The process gets the processors of the calling thread.</summary>
    /// <exception cref="PeerMissingException">The peer cannot run on this machine.</exception>
    public static Server Start(Peer peer, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(peer.Program, [.. peer.Arguments, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // On one processor the runtime waits ten times as long for its start to end before it compiles hot code, and after ten seconds half
        // of that is not done. The compiled code is the same in the end.
        if (peer.HasJit) start.Environment["DOTNET_TC_DelaySingleProcMultiplier"] = "1";
        foreach ((string name, string value) in peer.Environment) start.Environment[name] = value;
        Server server = new(peer, Process.Start(start)!);
        try
        {
            server._process.ErrorDataReceived += server.OnError;
            server._process.BeginErrorReadLine();
            string line = server.ReadLine();
            const string Listening = "listening ";
            if (!line.StartsWith(Listening, StringComparison.Ordinal))
            {
                throw server.Failure($"it said \"{line}\"; \"{Listening}PORT\" was expected");
            }
            server.Port = int.Parse(line[Listening.Length..], CultureInfo.InvariantCulture);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <param name="command"><c>stats</c>, or <c>collect</c> for a garbage collection first.</param>
    public PeerStatistics Ask(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        string line = ReadLine();
        using JsonDocument answer = JsonDocument.Parse(line);
        return new PeerStatistics(Value(answer, "allocated"), Value(answer, "managed"), Value(answer, "compiled"));
    }

    /// <summary>Ends its input and waits for its end.</summary>
    /// <exception cref="PeerFailedException">It did not end, ended with another code than 0, or had written to stderr.</exception>
    public void Stop()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(Patience)) throw Failure($"it ran on for {Patience.TotalSeconds} s after its input had ended");
        _process.WaitForExit(); // Waits for the rest of stderr.
        if (_process.ExitCode != 0) throw Failure($"exit code {_process.ExitCode}; 0 was expected");
        if (Errors().Length > 0) throw Failure("it wrote to stderr");
    }

    /// <summary>A failure of this peer, with what it wrote to stderr. A peer that is about to end gets a second to write it.</summary>
    public PeerFailedException Failure(string what, Exception? inner = null)
    {
        string exited = _process.WaitForExit(TimeSpan.FromSeconds(1)) ? $" (it had ended, exit code {_process.ExitCode})" : "";
        string errors = Errors();
        return new PeerFailedException($"{_peer.Name}: {what}{exited}{(errors.Length > 0 ? "\n" + errors : "")}", inner);
    }

    /// <summary>Resident bytes and threads, from /proc.</summary>
    public (long Resident, int Threads) Look()
    {
        long resident = 0;
        int threads = 0;
        foreach (string line in File.ReadLines($"/proc/{Id}/status"))
        {
            if (line.StartsWith("VmRSS:", StringComparison.Ordinal)) resident = Number(line) * 1024;
            else if (line.StartsWith("Threads:", StringComparison.Ordinal)) threads = (int)Number(line);
        }
        return (resident, threads);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }
        _process.Dispose();
    }

    private static long Number(string line) =>
        long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    private static long? Value(JsonDocument answer, string name) =>
        answer.RootElement.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : null;

    private string ReadLine()
    {
        Task<string?> reading = _process.StandardOutput.ReadLineAsync();
        if (!reading.Wait(Patience)) throw Failure($"it said nothing for {Patience.TotalSeconds} s; a line was expected");
        if (reading.Result is { } line) return line;
        if (!_process.WaitForExit(Patience)) throw Failure("it closed its stdout; a line was expected");
        _process.WaitForExit();
        if (_process.ExitCode == NotPermitted) throw new PeerMissingException($"not permitted: {Errors().Trim()}");
        throw Failure("it ended; a line was expected");
    }

    private string Errors()
    {
        lock (_errors) return _errors.ToString();
    }

    private void OnError(object sender, DataReceivedEventArgs e)
    {
        const int Enough = 8 * 1024;
        if (e.Data is null) return;
        lock (_errors)
        {
            if (_errors.Length < Enough) _errors.AppendLine(e.Data);
        }
    }
}
