using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;

namespace Poller.Docs.Tests;

/// <summary>Compiles a program of the docs, runs it in a process of its own, and looks whether it does what they say.</summary>
internal static class DocRun
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private static readonly string Self = Path.ChangeExtension(typeof(DocRun).Assembly.Location, null);

    private static int _lastNumber;

    /// <summary>What is wrong with the program, by document and line; nothing, when it is right.</summary>
    public static async Task<IReadOnlyList<string>> RunAsync(
        DocProgram program, TimeSpan? longest = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        // Beside this assembly, where a test host finds what it wants.
        string assembly = Path.Combine(AppContext.BaseDirectory, $"docs.{Environment.ProcessId}.{Interlocked.Increment(ref _lastNumber)}");
        try
        {
            using CancellationTokenSource end = new();
            end.CancelAfter(longest ?? Longest);
            return program.Proof switch
            {
                Proof.Prints => await PrintAsync(program, assembly, environment, end.Token),
                Proof.Echoes => await EchoAsync(program, assembly, end.Token),
                _ => await TestAsync(program, assembly, end.Token),
            };
        }
        finally
        {
            foreach (string file in Directory.GetFiles(AppContext.BaseDirectory, Path.GetFileName(assembly) + ".*")) File.Delete(file);
        }
    }

    // Whether a text is what a pattern says, in which … stands for anything. What is blank at the ends of lines does not count.
    private static bool Matches(string text, string pattern)
    {
        string regex = "^" + Regex.Escape(Tidy(pattern)).Replace("…", ".*", StringComparison.Ordinal) + "$";
        return Regex.IsMatch(Tidy(text), regex, RegexOptions.Singleline);

        static string Tidy(string lines) => string.Join('\n', lines.Split('\n').Select(static line => line.TrimEnd())).Trim();
    }

    private static async Task<IReadOnlyList<string>> PrintAsync(
        DocProgram program, string assembly, IReadOnlyDictionary<string, string>? environment, CancellationToken end)
    {
        using EchoServer? echo = program.EchoPort.Length > 0 ? EchoServer.Start() : null;
        if (echo is not null)
        {
            if (program.With(program.EchoPort, echo.Port) is not { } moved) return NoPort(program, program.EchoPort);
            program = moved;
        }
        IReadOnlyList<string> errors = DocCompiler.Compile(program.Files, OutputKind.ConsoleApplication, assembly + ".dll");
        if (errors.Count > 0) return errors;
        using DocProcess process = DocProcess.Start(environment, "exec", Self + ".dll", assembly + ".dll");
        return await FaultAsync(program, process, Look, end);

        string? Look(string text) =>
            Matches(text, program.Expected) ? null : $"it printed \"{text.Trim()}\"; \"{program.Expected}\" was expected.";
    }

    // As a reader would: the xunit runner and the test host are this project's.
    private static async Task<IReadOnlyList<string>> TestAsync(DocProgram program, string assembly, CancellationToken end)
    {
        IReadOnlyList<string> errors = DocCompiler.Compile(program.Files, OutputKind.DynamicallyLinkedLibrary, assembly + ".dll");
        if (errors.Count > 0) return errors;
        foreach (string extension in (string[])[".deps.json", ".runtimeconfig.json"]) File.Copy(Self + extension, assembly + extension);
        using DocProcess process = DocProcess.Start(null, "test", assembly + ".dll", "--", "RunConfiguration.TreatNoTestsAsError=true");
        return await FaultAsync(
            program, process, static text => text.Contains("Passed!", StringComparison.Ordinal) ? null : "no test passed.", end);
    }

    private static async Task<IReadOnlyList<string>> FaultAsync(
        DocProgram program, DocProcess process, Func<string, string?> look, CancellationToken end)
    {
        string? fault = await process.ExitAsync(end) switch
        {
            null => "it did not end in time.",
            0 => look(await process.OutputAsync()),
            int code => $"it ended with {code}; 0 was expected.",
        };
        return fault is null ? [] : [$"{program.Place}: {fault}\n{await process.EndAsync()}"];
    }

    private static IReadOnlyList<string> NoPort(DocProgram program, string port) => [$"{program.Place}: port {port} was expected in it."];

    private static async Task<IReadOnlyList<string>> EchoAsync(DocProgram program, string assembly, CancellationToken end)
    {
        // Bound and not listening, it keeps the port from others and lets a listener have it: both have SO_REUSEADDR.
        using Socket held = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        held.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)held.LocalEndPoint!).Port;

        if (program.With(program.Expected, port) is not { } moved) return NoPort(program, program.Expected);
        IReadOnlyList<string> errors = DocCompiler.Compile(moved.Files, OutputKind.ConsoleApplication, assembly + ".dll");
        if (errors.Count > 0) return errors;

        using DocProcess process = DocProcess.Start(null, "exec", Self + ".dll", assembly + ".dll");
        string? fault;
        try
        {
            // Two at once: a server that serves one after the other is caught.
            using Socket one = await ConnectAsync(process, port, end);
            using Socket other = await ConnectAsync(process, port, end);
            fault = await TalkAsync(one, "a line\n", end)
                ?? await TalkAsync(other, "another\n", end)
                ?? await TalkAsync(one, "and one more\n", end);
        }
        catch (SocketException e)
        {
            fault = $"no echo on port {port}: {e.Message}.";
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            fault = $"no echo on port {port} in time.";
        }
        return fault is null ? [] : [$"{program.Place}: {fault}\n{await process.EndAsync()}"];
    }

    // Nothing tells that another process listens now; that it has ended is told.
    private static async Task<Socket> ConnectAsync(DocProcess process, int port, CancellationToken end)
    {
        while (true)
        {
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port, end);
                return socket;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
            {
                socket.Dispose();
                end.ThrowIfCancellationRequested();
                if (process.HasExitedWithin(TimeSpan.FromMilliseconds(20))) throw;
            }
        }
    }

    private static async Task<string?> TalkAsync(Socket socket, string line, CancellationToken end)
    {
        byte[] sent = Encoding.UTF8.GetBytes(line);
        byte[] buffer = new byte[sent.Length];
        await socket.SendAsync(sent, end);
        int received = 0;
        while (received < buffer.Length)
        {
            int count = await socket.ReceiveAsync(buffer.AsMemory(received), end);
            if (count == 0) return $"it closed the connection after {received} of {sent.Length} bytes.";
            received += count;
        }
        return buffer.AsSpan().SequenceEqual(sent) ? null : $"it answered \"{Encoding.UTF8.GetString(buffer)}\"; \"{line}\" was expected.";
    }
}
