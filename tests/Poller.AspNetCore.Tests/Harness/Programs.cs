using System.Diagnostics;

namespace Poller.AspNetCore.Tests;

/// <summary>Programs that drive a server from outside.</summary>
internal static class Programs
{
    /// <summary>Runs a program to its end, and returns what it wrote.</summary>
    public static async Task<string> RunAsync(string name, params string[] arguments)
    {
        ProcessStartInfo start = new(name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync().Within(name);
            string all = output + await errors.Within(name);
            await process.WaitForExitAsync().Within(name);
            Assert.True(process.ExitCode == 0, $"{name} {string.Join(' ', arguments)} exited with {process.ExitCode}: {all}");
            return all;
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    /// <summary>Why a test that needs a program is skipped; null if the program is there.</summary>
    public static string? WhyNot(string name)
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        bool isThere = path.Split(':').Any(folder => File.Exists(Path.Combine(folder, name)));
        return isThere ? null : $"{name} is not installed; apt-get install {PackageOf(name)}";
    }

    private static string PackageOf(string name) => name switch
    {
        "h2load" => "nghttp2-client",
        "ss" => "iproute2",
        _ => name,
    };
}

/// <summary>A test that needs a program.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ProgramFactAttribute : FactAttribute
{
    public ProgramFactAttribute(string name) => Skip = Programs.WhyNot(name);
}
