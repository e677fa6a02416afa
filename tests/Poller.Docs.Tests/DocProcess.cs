using System.Diagnostics;

namespace Poller.Docs.Tests;

/// <summary>A process with a program of the docs in it. Disposing it ends it.</summary>
internal sealed class DocProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private DocProcess(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _error = process.StandardError.ReadToEndAsync();
    }

    public static DocProcess Start(IReadOnlyDictionary<string, string>? environment, params string[] arguments)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("POLLER_BACKEND"); // What the docs say is said of the default.
        start.Environment.TryAdd("POLLER_CONFORMANCE_SEQUENCES", "50");
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return new DocProcess(Process.Start(start)!);
    }

    public bool HasExitedWithin(TimeSpan time) => _process.WaitForExit(time);

    /// <summary>Its exit code, or null when it has none in time.</summary>
    public async Task<int?> ExitAsync(CancellationToken end)
    {
        try
        {
            await _process.WaitForExitAsync(end);
            return _process.ExitCode;
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            return null;
        }
    }

    public Task<string> OutputAsync() => _output;

    /// <summary>Ends it, where it has not ended. Returns what it printed.</summary>
    public async Task<string> EndAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        return await _output + await _error;
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
