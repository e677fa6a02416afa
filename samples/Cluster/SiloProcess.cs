using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Cluster;

/// <summary>
/// A silo's process, which the driver starts and ends. Safe from any thread. Disposing it kills the process and awaits its end.
/// </summary>
internal sealed class SiloProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly HeldPort _port = new();
    private readonly HeldPort _gateway = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _lines = [];
    private readonly Process _process;
    private readonly Task<string> _log;
    private readonly Task _reading;

    private SiloProcess(int number, SiloProcess? primary, Transport transport, string ledgers)
    {
        Number = number;
        string self = typeof(SiloProcess).Assembly.Location;
        string program = Environment.ProcessPath!;
        string[] arguments =
        [
            "silo", "--port", Text(Port), "--gateway", Text(_gateway.Number), "--primary", Text(primary?.Port ?? Port),
            "--transport", transport.Name, "--backend", transport.Backend ?? "auto", "--dispatch", transport.DispatchName,
            "--ledgers", ledgers,
        ];
        if (Path.GetFileNameWithoutExtension(program) == "dotnet") arguments = ["exec", self, .. arguments];
        _process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _log = _process.StandardError.ReadToEndAsync();
        _reading = ReadAsync();

        static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>1 for the primary silo, which keeps the table of the members.</summary>
    public int Number { get; }

    public int Port => _port.Number;

    public IPEndPoint Gateway => new(IPAddress.Loopback, _gateway.Number);

    public int ProcessId => _process.Id;

    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Starts a process. Its silo joins the cluster of the primary silo, or is the primary silo.</summary>
    public static SiloProcess Start(int number, SiloProcess? primary, Transport transport, string ledgers) =>
        new(number, primary, transport, ledgers);

    /// <summary>Awaits a line of its standard output, which may have come already.</summary>
    /// <exception cref="InvalidOperationException">The process ended before, or the line did not come in a minute.</exception>
    public async Task AwaitLineAsync(string line, CancellationToken stop)
    {
        Task said = SourceOf(line).Task;
        Task first = await Task.WhenAny(said, _reading, Task.Delay(Patience, stop));
        stop.ThrowIfCancellationRequested();
        if (first == said || said.IsCompleted) return;
        string fate = first == _reading ? "ended" : "ran for a minute";
        Kill();
        throw new InvalidOperationException(
            $"Silo {Number} (process {ProcessId}) {fate} without the line \"{line}\". It said:\n{await _log}");
    }

    /// <summary>Ends the process by SIGKILL, if it has not ended.</summary>
    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        Kill();
        await _process.WaitForExitAsync();
        await _log;
        _process.Dispose();
        _port.Dispose();
        _gateway.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line) SourceOf(line).TrySetResult();
    }

    private TaskCompletionSource SourceOf(string line) =>
        _lines.GetOrAdd(line, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously));

    // A port of loopback, bound here and not listening. So nobody else gets it, and yet the silo can listen on it, because the system lets
    // sockets with SO_REUSEADDR share a port until one listens.
    private sealed class HeldPort : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        public HeldPort()
        {
            _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Number = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        }

        public int Number { get; }

        public void Dispose() => _socket.Dispose();
    }
}
