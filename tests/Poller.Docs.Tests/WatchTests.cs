using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Poller.Docs.Tests;

/// <summary><c>samples/Watch</c>, as a process whose sources the tests move from outside.</summary>
public sealed class WatchTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("poller-watch-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("epoll")]
    [InlineData("epoll-level")]
    [InlineData("posix")]
    public async Task All_kinds_of_source_tell_their_events_at_once(string backend)
    {
        string pipe = await FifoAsync("pipe"), fifo = await FifoAsync("fifo"), directory = _folder.CreateSubdirectory("directory").FullName;
        using Process other = Process.Start("sleep", "600");
        string[] sources =
        [
            $"pipe:{pipe}", $"fifo:{fifo}", "pty:sh", $"inotify:{directory}", "timer:250ms", "udp:127.0.0.1:0", "signal:USR1",
            $"process:{other.Id}", "stdin", "netlink:route",
        ];
        using WatchProcess watch = new(["--backend", backend, .. sources]);
        foreach (string source in sources) await watch.LineAsync($"{source}: open, ");
        try
        {
            Match shell = Regex.Match(await watch.LineAsync("pty:sh: open, "), @"process (\d+) on (/dev/pts/\d+)$");
            await watch.LineAsync("pty:sh: ");
            File.WriteAllText(shell.Groups[2].Value, "from a terminal"); // What anybody writes to it appears at its other end.
            Assert.True(IsRunning(shell.Groups[1].Value));

            await WriteAsync(fifo, "first\n");
            await watch.LineAsync($"fifo:{fifo}: 6 bytes \"first\\n\"");
            await WriteAsync(fifo, "second\n");
            await watch.LineAsync($"fifo:{fifo}: 7 bytes \"second\\n\"");

            await WriteAsync(pipe, "through a pipe");
            await watch.LineAsync($"pipe:{pipe}: 14 bytes \"through a pipe\"");
            await watch.LineAsync($"pipe:{pipe}: the end");

            await watch.LineAsync("timer:250ms: 1 expiration, ");

            string local = (await watch.LineAsync("udp:127.0.0.1:0: open, ")).Split(" at ")[1];
            using UdpClient sender = new(new IPEndPoint(IPAddress.Loopback, 0));
            await sender.SendAsync(Encoding.UTF8.GetBytes("a datagram"), IPEndPoint.Parse(local));
            await watch.LineAsync($"udp:127.0.0.1:0: 10 bytes from {sender.Client.LocalEndPoint} \"a datagram\"");

            await File.WriteAllTextAsync(Path.Combine(directory, "new"), "");
            await watch.LineAsync($"inotify:{directory}: watch 1, IN_CREATE, \"new\"");

            watch.Signal("USR1");
            await watch.LineAsync("signal:USR1: SIGUSR1, 1 time");

            other.Kill();
            await watch.LineAsync($"process:{other.Id}: \"sleep\" has ended");

            await watch.Input.WriteAsync("typed\n");
            await watch.Input.FlushAsync();
            await watch.LineAsync("stdin: 6 bytes \"typed\\n\"");

            if (RouteFactAttribute.WhyNot is null) await ChangeAddressAsync(watch);

            watch.Signal("INT");
            (int code, string error) = await watch.ExitAsync();
            Assert.Equal((0, ""), (code, error));
            Assert.False(IsRunning(shell.Groups[1].Value)); // Its terminal has hung up.
        }
        finally
        {
            other.Kill();
        }
    }

    [RouteFact]
    public async Task An_address_that_comes_and_goes_is_told()
    {
        using WatchProcess watch = new("netlink:route");
        await watch.LineAsync("netlink:route: open, ");
        await ChangeAddressAsync(watch);
    }

    [Fact]
    public async Task A_source_that_cannot_be_opened_is_one_line_and_the_others_go_on()
    {
        string[] wrong =
        [
            "nosuch:1", "timer", "timer:abc", "timer:0ms", "fifo:/nosuch", "pipe:/etc", "pty:nosuch", "inotify:/nosuch", "udp:127.0.0.1",
            "udp:nosuch:1", "signal:INT", "process:x", "process:2147483647", "stdin:x", "netlink:nosuch", "",
        ];
        using WatchProcess watch = new([.. wrong, "timer:250ms"]);
        await watch.LineAsync("timer:250ms: 1 expiration, ");
        watch.Signal("TERM");
        (int code, string error) = await watch.ExitAsync();
        Assert.Equal(0, code);
        string[] lines = error.TrimEnd('\n').Split('\n');
        Assert.Equal(wrong.Length, lines.Length);
        foreach ((string source, string line) in wrong.Zip(lines))
        {
            Assert.StartsWith($"{source}: ", line, StringComparison.Ordinal);
            Assert.Contains(" was expected", line, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(1, "nosuch: there is no kind \"nosuch\"; ", "nosuch")]
    [InlineData(2, "Required argument missing")]
    [InlineData(2, "Unrecognized option '--nosuch'.", "--nosuch", "timer:1ms")]
    [InlineData(2, "--backend \"nosuch\": ", "--backend", "nosuch", "timer:1ms")]
    [InlineData(1, "pipe: the path of a pipe or of a FIFO was expected after \"pipe\"", "pipe:")]
    [InlineData(1, "pipe:/etc/passwd: open: it cannot be polled; the path of a pipe or of a FIFO was expected", "pipe:/etc/passwd")]
    public async Task Without_a_source_it_ends_with_an_error(int code, string error, params string[] arguments)
    {
        using WatchProcess watch = new(arguments);
        (int exit, string said) = await watch.ExitAsync();
        Assert.Equal(code, exit);
        string line = Assert.Single(said.TrimEnd('\n').Split('\n'));
        Assert.StartsWith(error, line, StringComparison.Ordinal);
        Assert.DoesNotContain("(Parameter", line, StringComparison.Ordinal); // It speaks to who typed the line.
    }

    [Theory]
    [InlineData("<&-", "stdin: the standard input is closed; an open one was expected")]
    [InlineData(">&-", "standard output: it is closed; an open one was expected")]
    public Task A_standard_stream_that_is_closed_is_told(string redirection, string error) =>
        FailsAsync($"exec \"$0\" exec \"$1\" stdin {redirection}", error);

    [Theory, InlineData(40), InlineData(80), InlineData(127)]
    public Task A_limit_of_too_few_descriptors_is_told(int limit) =>
        FailsAsync($"ulimit -n {limit}; exec \"$0\" exec \"$1\" timer:1s", $"{limit} descriptors are allowed (ulimit -n); at least 128");

    [Fact]
    public async Task A_source_for_which_too_few_descriptors_are_left_is_one_line_and_the_others_go_on()
    {
        string[] sources = [.. Enumerable.Range(201, 80).Select(static i => $"timer:{i}ms")]; // Slow, so that one expiration is told alone.
        using WatchProcess watch = new(readsOutput: true, sources, ["sh", "-c", "ulimit -n 128; exec \"$@\"", "sh"]);
        await watch.LineAsync("timer:201ms: 1 expiration, ");
        watch.Signal("HUP");
        (int code, string error) = await watch.ExitAsync();
        Assert.Equal(0, code);
        string[] lines = error.TrimEnd('\n').Split('\n');
        Assert.StartsWith("timer:280ms: ", lines[^1], StringComparison.Ordinal);
        const string Few = " descriptors are free (ulimit -n); at least 32 were expected";
        Assert.All(lines, static line => Assert.EndsWith(Few, line, StringComparison.Ordinal));
    }

    private static async Task FailsAsync(string script, string error)
    {
        string watch = Repository.AssemblyOf("Watch");
        using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", script, Environment.ProcessPath!, watch])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        })!;
        using CancellationTokenSource bound = new(TimeSpan.FromSeconds(60));
        try
        {
            string said = await process.StandardError.ReadToEndAsync(bound.Token);
            await process.WaitForExitAsync(bound.Token);
            Assert.StartsWith(error, Assert.Single(said.TrimEnd('\n').Split('\n')), StringComparison.Ordinal);
            Assert.Equal(1, process.ExitCode);
        }
        finally
        {
            process.Kill();
        }
    }

    [Fact]
    public async Task It_ends_when_all_its_sources_have_ended()
    {
        using WatchProcess watch = new("stdin", "pty:sh -c exit");
        watch.Input.Close();
        await watch.LineAsync("stdin: the end");
        Assert.EndsWith(" exited with 0", await watch.LineAsync("pty:sh -c exit: the end, process "), StringComparison.Ordinal);
        Assert.Equal((0, ""), await watch.ExitAsync());
    }

    [Fact]
    public async Task It_ends_when_nobody_reads_its_output_any_more()
    {
        using WatchProcess watch = new("timer:1ms");
        await watch.LineAsync("timer:1ms: open, ");
        watch.CloseOutput();
        Assert.Equal((0, ""), await watch.ExitAsync());
    }

    [Fact]
    public async Task It_ends_at_a_signal_though_its_output_is_full_and_nobody_reads_it()
    {
        using WatchProcess watch = new(readsOutput: false, ["stdin", "timer:1ms"]);
        byte[] chunk = new byte[4096];
        Task writing;
        do
        {
            // It stops reading when its lines have no room any more. Then our writes have none either.
            writing = watch.Input.BaseStream.WriteAsync(chunk).AsTask();
            await Task.WhenAny(writing, Task.Delay(TimeSpan.FromSeconds(2)));
        }
        while (writing.IsCompletedSuccessfully);
        watch.Signal("INT");
        Assert.Equal((0, ""), await watch.ExitAsync());
    }

    [Fact]
    public async Task Events_that_an_inotify_has_lost_are_told()
    {
        using WatchProcess watch = new($"inotify:{_folder.FullName}");
        await watch.LineAsync($"inotify:{_folder.FullName}: open, ");
        watch.Signal("STOP"); // So it cannot read while the kernel's queue fills.
        string path = Path.Combine(_folder.FullName, "a");
        string most = await File.ReadAllTextAsync("/proc/sys/fs/inotify/max_queued_events");
        for (int i = 0; i <= int.Parse(most, CultureInfo.InvariantCulture) / 3; i++)
        {
            await File.WriteAllTextAsync(path, "");
            File.Delete(path);
        }
        watch.Signal("CONT");
        await watch.LineAsync($"inotify:{_folder.FullName}: watch -1, IN_Q_OVERFLOW");
    }

    // An address of the loopback that nobody uses. It is gone afterwards.
    private static async Task ChangeAddressAsync(WatchProcess watch)
    {
        int id = Environment.ProcessId;
        string address = $"127.77.{(id >> 8) & 0xff}.{id & 0xff}";
        try
        {
            await RunAsync("ip", "address", "add", $"{address}/32", "dev", "lo");
            await watch.LineAsync($"netlink:route: new address {address}/32 on \"lo\"");
            await watch.LineAsync($"netlink:route: new route {address}/32 on \"lo\"");
        }
        finally
        {
            await RunAsync("ip", "address", "delete", $"{address}/32", "dev", "lo");
        }
        await watch.LineAsync($"netlink:route: deleted address {address}/32 on \"lo\"");
    }

    // A write to a FIFO opens it, which waits for the reader.
    private static Task WriteAsync(string path, string text) => RunAsync("sh", "-c", "printf %s \"$1\" >\"$0\"", path, text);

    private static bool IsRunning(string process) => Directory.Exists($"/proc/{process}");

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        using CancellationTokenSource late = new(TimeSpan.FromSeconds(60));
        try
        {
            await process.WaitForExitAsync(late.Token);
        }
        finally
        {
            process.Kill();
        }
        Assert.Equal(0, process.ExitCode);
    }

    private async Task<string> FifoAsync(string name)
    {
        string path = Path.Combine(_folder.FullName, name);
        await RunAsync("mkfifo", path);
        return path;
    }
}

/// <summary>A test that changes an address of this machine.</summary>
public sealed class RouteFactAttribute : FactAttribute
{
    public RouteFactAttribute() => Skip = WhyNot;

    /// <summary>Why no address can be changed here, or null.</summary>
    public static string? WhyNot { get; } =
        !Environment.IsPrivilegedProcess ? "needs root, to change an address"
        : !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(static folder => File.Exists(Path.Combine(folder, "ip")))
            ? "needs ip: apt-get install iproute2"
            : null;
}
