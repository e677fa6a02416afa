using System.Diagnostics;

namespace Poller.Docs.Tests;

/// <summary>A process of <c>samples/Watch</c>, whose lines a test awaits. Disposing it ends it.</summary>
internal sealed class WatchProcess : IDisposable
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly object _lock = new();

    // Guarded by _lock.
    private readonly List<string> _lines = [];
    private TaskCompletionSource _more = NewSource();

    private readonly Task<string> _error;
    private readonly Task _reading;

    public WatchProcess(params string[] arguments)
        : this(readsOutput: true, arguments)
    {
    }

    /// <param name="readsOutput">Whether anybody reads its standard output.</param>
    /// <param name="arguments">Its command line.</param>
    /// <param name="starter">A program, with arguments of its own, that gets the command line and becomes it.</param>
    public WatchProcess(bool readsOutput, string[] arguments, string[]? starter = null)
    {
        // A shell that starts a program in the background may ignore SIGINT there, and .NET leaves a signal ignored that is so at its start.
        string[] program = [Environment.ProcessPath!, "exec", Repository.AssemblyOf("Watch")];
        string[] line = ["--default-signal=INT,HUP", .. starter ?? [], .. program, .. arguments];
        _process = Process.Start(new ProcessStartInfo("env", line)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _error = _process.StandardError.ReadToEndAsync();
        _reading = readsOutput ? ReadAsync() : Task.CompletedTask;
    }

    public int Id => _process.Id;

    public StreamWriter Input => _process.StandardInput;

    /// <summary>Awaits a line that begins with a text, and returns the rest of it.</summary>
    public async Task<string> LineAsync(string start)
    {
        long begun = Stopwatch.GetTimestamp();
        while (true)
        {
            Task more;
            lock (_lock)
            {
                if (_lines.Find(line => line.StartsWith(start, StringComparison.Ordinal)) is { } found) return found[start.Length..];
                more = _more.Task;
            }
            bool ended = _reading.IsCompleted;
            TimeSpan left = Bound - Stopwatch.GetElapsedTime(begun);
            if (ended || left <= TimeSpan.Zero) Assert.Fail($"No line begins with \"{start}\". {await EndAsync()}");
            await Task.WhenAny(more, _reading, Task.Delay(left));
        }
    }

    /// <summary>Sends a signal, by its name.</summary>
    public void Signal(string name)
    {
        using Process kill = Process.Start("kill", [$"-{name}", $"{Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Closes the end that reads its standard output, as <c>head -1</c> does after one line.</summary>
    public void CloseOutput() => _process.StandardOutput.BaseStream.Dispose();

    /// <summary>Awaits its end. Returns its exit code, and what it said on its standard error stream.</summary>
    public async Task<(int Code, string Error)> ExitAsync()
    {
        using CancellationTokenSource late = new(Bound);
        try
        {
            await _process.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"It did not end in time. {await EndAsync()}");
        }
        return (_process.ExitCode, await _error);
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task<string> EndAsync()
    {
        _process.Kill(entireProcessTree: true);
        string error = await _error;
        lock (_lock) return $"It said:\n{string.Join('\n', _lines)}\n{error}";
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await _process.StandardOutput.ReadLineAsync() is { } line) Hear(line);
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            // The test has closed it.
        }

        void Hear(string line)
        {
            lock (_lock)
            {
                _lines.Add(line);
                _more.SetResult();
                _more = NewSource();
            }
        }
    }
}
