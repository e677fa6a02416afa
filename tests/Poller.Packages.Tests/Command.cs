using System.Diagnostics;

namespace Poller.Packages.Tests;

/// <summary>Runs a program to its end.</summary>
internal static class Command
{
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(8);

    /// <summary>Returns what it printed. Throws, with what it printed, if it did not end with 0 in time.</summary>
    public static async Task<string> RunAsync(string folder, string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // A build's servers would outlive the test.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["UseSharedCompilation"] = "false";
        start.Environment["DOTNET_NOLOGO"] = "1";

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource end = new(Bound);
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }
        string printed = await output + await error;
        if (!end.IsCancellationRequested && process.ExitCode == 0) return printed;
        string how = end.IsCancellationRequested ? $"did not end within {Bound}" : $"ended with {process.ExitCode}; 0 was expected";
        throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: it {how}.\n{printed}");
    }

    /// <summary>Runs the SDK that runs these tests.</summary>
    public static Task<string> DotnetAsync(string folder, params string[] arguments) =>
        RunAsync(folder, Environment.ProcessPath!, arguments);
}
