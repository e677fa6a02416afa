using System.ComponentModel;
using System.Diagnostics;

namespace SideBySide;

/// <summary>Runs a program of the machine, such as a compiler, and returns what it prints.</summary>
internal static class Tool
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <summary>The dotnet that started this program, or else the one in the PATH.</summary>
    public static string DotNet { get; } = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    /// <summary>Null if there is no such program; otherwise its exit code and output.</summary>
    /// <exception cref="TimeoutException">The program ran for five minutes, and was ended.</exception>
    public static (int ExitCode, string Output, string Error)? Run(
        string program, string[] arguments, string? folder = null, string input = "", params (string Name, string Value)[] environment)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = folder ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment) start.Environment[name] = value;

        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            return null; // It is not in the PATH.
        }

        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            process.StandardInput.Write(input);
            process.StandardInput.Close();
            if (!process.WaitForExit(Longest))
            {
                process.Kill(entireProcessTree: true);
                string command = $"{program} {string.Join(' ', arguments)}";
                throw new TimeoutException($"{command}: it was expected to end within {Longest.TotalSeconds} s.");
            }
            return (process.ExitCode, output.Result, error.Result);
        }
    }

    /// <summary>The first line that the program prints; null if it is not installed or fails.</summary>
    public static string? FirstLine(string program, params string[] arguments) =>
        Run(program, arguments) is (0, string output, _) ? output.Split('\n')[0].Trim() : null;
}
