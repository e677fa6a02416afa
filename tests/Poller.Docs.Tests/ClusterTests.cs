using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Cluster;

namespace Poller.Docs.Tests;

/// <summary>The sample <c>Cluster</c>, as a user runs it, and what it counts by.</summary>
public sealed partial class ClusterTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(4);

    /// <summary>The transports; in the short form PollerKit over epoll alone.</summary>
    public static TheoryData<string, string> Transports { get; } = Environment.GetEnvironmentVariable("POLLER_TESTS") == "long"
        ? new() { { "poller", "epoll" }, { "poller", "posix" }, { "sockets", "auto" } }
        : new() { { "poller", "epoll" } };

    [Theory, MemberData(nameof(Transports)), Trait("Tests", "long")]
    public async Task No_call_is_lost_or_doubled_while_a_silo_is_killed_and_one_is_added(string transport, string backend)
    {
        // On a busy machine the clients call so few accounts in a second that there may be none on one silo.
        string output;
        int runs = 0;
        do
        {
            (int code, output, string error) = await RunAsync(
                "--transport", transport, "--backend", backend, "--seconds", "1", "--clients", "16");
            Assert.True(code == 0, $"It exited with {code}.\n{output}\n{error}");
        }
        while (++runs < 3 && (AnswersOf(output, "before the kill", silo: 3) == 0 || AnswersOf(output, "with the new silo", silo: 4) == 0));

        Dictionary<string, long> all = CountsOf(output, "all");
        Assert.True(all["made"] > 0, output);
        Assert.Equal(all["made"], all["acknowledged"]);
        Assert.Equal((0, 0, 0), (all["lost"], all["doubled"], all["crossed"]));

        // While no silo dies, an account gets no call more often than its caller makes it.
        Dictionary<string, long> before = CountsOf(output, "before the kill");
        Assert.True(before["repeated"] <= before["failed tries"], output);

        // The killed silo answered until then, and the new one answers from then on.
        Assert.True(AnswersOf(output, "before the kill", silo: 3) > 0, output);
        Assert.Equal(0, AnswersOf(output, "after the kill", silo: 3));
        Assert.Equal(0, AnswersOf(output, "after the kill", silo: 4));
        Assert.True(AnswersOf(output, "with the new silo", silo: 4) > 0, output);
    }

    [Theory]
    [InlineData("--transport \"pigeons\": poller or sockets was expected.", "--transport", "pigeons")]
    [InlineData("--clients \"0\": a whole number from 1 to 1024 was expected.", "--clients", "0")]
    [InlineData("--seconds \"-1\": a whole number from 1 to 3600 was expected.", "--seconds", "-1")]
    [InlineData("--backend \"nonsense\": ", "--backend", "nonsense")]
    [InlineData("--rounds \"many\": a whole number from 1 to 1000 was expected.", "compare", "--rounds", "many")]
    public async Task A_wrong_option_is_one_line_and_exit_code_2(string expected, params string[] arguments)
    {
        (int code, string output, string error) = await RunAsync(arguments);

        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith(expected, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_folder_that_the_system_refuses_is_one_line_and_exit_code_1()
    {
        ProcessStartInfo command = Command("--seconds", "1");
        command.Environment["TMPDIR"] = "/nowhere";
        using Process process = Process.Start(command)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource late = new(Bound);
        await process.WaitForExitAsync(late.Token);

        Assert.Equal(1, process.ExitCode);
        Assert.StartsWith("/nowhere/: ", Assert.Single((await error).TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Fact, Trait("Tests", "long")]
    public async Task An_interrupt_ends_its_silos()
    {
        using Process process = Start("--seconds", "60", "--clients", "1");
        Task<string> error = process.StandardError.ReadToEndAsync();
        List<int> silos = [];
        using CancellationTokenSource late = new(Bound);
        while (silos.Count < LocalCluster.FirstSilos)
        {
            string? line = await process.StandardOutput.ReadLineAsync(late.Token);
            Assert.True(line is not null, "It ended.");
            if (SiloLine().Match(line) is { Success: true } match) silos.Add(int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
        }
        Assert.All(silos, static silo => Assert.True(IsRunning(silo)));

        using Process kill = Process.Start("kill", ["-INT", $"{process.Id}"]);
        await process.WaitForExitAsync(late.Token);

        Assert.Equal(130, process.ExitCode);
        Assert.Equal("interrupted", (await error).Trim());
        Assert.All(silos, static silo => Assert.False(IsRunning(silo)));
    }

    [Fact]
    public void A_ledger_executes_a_call_once_however_often_it_comes_and_whoever_opens_it()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("ledger-");
        try
        {
            using (Ledger ledger = Ledger.Open(folder.FullName, "a"))
            {
                ledger.Execute(1);
                ledger.Execute(1);
                Assert.Throws<InvalidOperationException>(() => ledger.Execute(3));
                Assert.Throws<IOException>(() => Ledger.Open(folder.FullName, "a"));
            }
            using (Ledger ledger = Ledger.Open(folder.FullName, "a"))
            {
                ledger.Execute(1);
                ledger.Execute(2);
            }
            Assert.Equal([(true, 1), (false, 1), (false, 1), (true, 2)], Ledger.Read(folder.FullName, "a"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_audit_finds_calls_that_were_lost_doubled_or_repeated()
    {
        Phase phase = new("audited");
        Account account = new("a") { Calls = { (phase, true), (phase, true), (phase, true), (phase, false) } };

        // Call 2 was acknowledged and is not there, 3 was executed twice, 4 was executed and not acknowledged.
        account.Audit([(true, 1), (false, 1), (true, 3), (true, 3), (true, 4)]);

        Assert.Equal((2, 1, 1), (phase.Lost, phase.Doubled, phase.Repeated));
    }

    [GeneratedRegex(@"^silo \d, process (\d+), has joined$")]
    private static partial Regex SiloLine();

    private static bool IsRunning(int process) => Directory.Exists($"/proc/{process}");

    // The row of the first table, by the names of its columns.
    private static Dictionary<string, long> CountsOf(string output, string row)
    {
        (string[] header, string[] cells) = RowOf(output, "calls that began", row);
        return header.Zip(cells).Where(static cell => cell.First is not ("calls that began" or "seconds" or "longest"))
            .ToDictionary(static cell => cell.First, static cell => Number(cell.Second));
    }

    private static long AnswersOf(string output, string row, int silo) => Number(RowOf(output, "acknowledged by silo", row).Cells[silo]);

    private static (string[] Header, string[] Cells) RowOf(string output, string table, string row)
    {
        List<string[]> lines = [.. output.Split('\n').Select(static line => Regex.Split(line.Trim(), " {2,}"))];
        int header = lines.FindIndex(line => line[0] == table);
        int found = header < 0 ? -1 : lines.FindIndex(header, line => line[0] == row);
        Assert.True(found >= 0, $"A table \"{table}\" with a row \"{row}\" was expected in:\n{output}");
        return (lines[header], lines[found]);
    }

    private static long Number(string text) => long.Parse(text, NumberStyles.AllowThousands, CultureInfo.InvariantCulture);

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using Process process = Start(arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource late = new(Bound);
        try
        {
            await process.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"It did not end in time.\n{await output}\n{await error}");
        }
        return (process.ExitCode, await output, await error);
    }

    private static Process Start(params string[] arguments) => Process.Start(Command(arguments))!;

    // A shell that starts a program in the background may ignore SIGINT there, and .NET leaves a signal ignored that is so at its start.
    private static ProcessStartInfo Command(params string[] arguments) => new(
        "env", ["--default-signal=INT", Environment.ProcessPath!, "exec", Repository.AssemblyOf("Cluster"), .. arguments])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    };
}
