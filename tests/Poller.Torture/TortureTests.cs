using System.Diagnostics;
using Xunit.Abstractions;

namespace Poller.Torture;

/// <summary>
/// Runs the program over each backend, in a process of its own: it lowers the process's limits and counts what the process has.
/// </summary>
public sealed class TortureTests(ITestOutputHelper output)
{
    private static readonly bool IsLong = Environment.GetEnvironmentVariable("POLLER_TESTS") == "long";

    /// <summary>The backend, the dispatch and the seconds.</summary>
    public static TheoryData<string, string, int> Runs => IsLong
        ? new()
        {
            { "epoll", "adaptive", 60 },
            { "epoll-level", "adaptive", 30 },
            { "posix", "adaptive", 30 },
            { "kqueue", "adaptive", 30 },
            { "epoll", "inline", 30 },
            { "epoll", "threadpool", 30 },
        }
        : new()
        {
            { "epoll", "adaptive", 12 },
            { "epoll-level", "adaptive", 6 },
            { "posix", "adaptive", 6 },
            { "kqueue", "adaptive", 6 },
        };

    [Theory, MemberData(nameof(Runs)), Trait("Tests", "long")]
    public async Task Nothing_is_lost_leaked_or_stuck(string backend, string dispatch, int seconds)
    {
        int seed = Seed.Next();
        string program = typeof(TortureTests).Assembly.Location;
        ProcessStartInfo start = new(
            Environment.ProcessPath!,
            ["exec", program, "--seed", $"{seed}", "--duration", $"{seconds}s", "--backend", backend, "--dispatch", dispatch])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        process.PriorityClass = ProcessPriorityClass.BelowNormal; // The tests beside it measure times.
        Task<string> text = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        using CancellationTokenSource end = new(TimeSpan.FromSeconds(seconds) + 4 * Activities.Patience);
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
            output.WriteLine(await text + await errors);
        }
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void A_byte_that_is_lost_doubled_or_moved_is_found()
    {
        byte[] bytes = new byte[1000];
        new Pattern(1).Fill(0, bytes);
        PatternReader whole = new(1);
        Assert.Null(whole.Check(bytes));
        Assert.Null(whole.CheckEnd(bytes.Length));
        Assert.NotNull(whole.CheckEnd(bytes.Length + 1));
        Assert.NotNull(new PatternReader(1).Check([.. bytes[..400], .. bytes[401..]]));
        Assert.NotNull(new PatternReader(1).Check([.. bytes[..400], .. bytes[399..]]));
        Assert.NotNull(new PatternReader(1).Check([.. bytes[..400], .. bytes[404..408], .. bytes[400..404], .. bytes[408..]]));
        Assert.NotNull(new PatternReader(2).Check(bytes));
    }

    [Theory, InlineData(0), InlineData(7), InlineData(100)]
    public void A_write_that_was_interrupted_is_sent_again_whatever_part_of_it_was_sent(int sent)
    {
        byte[] bytes = new byte[300];
        new Pattern(1).Fill(0, bytes);
        PatternReader reader = new(1);
        Assert.Null(reader.Check(bytes.AsSpan(0, 100 + sent)));
        foreach (byte one in Pattern.Mark(100, 100)) Assert.Null(reader.Check([one]));
        Assert.Null(reader.Check(bytes.AsSpan(100)));
        Assert.Null(reader.CheckEnd(bytes.Length));
        Assert.NotNull(new PatternReader(1).Check([.. bytes[..99], .. Pattern.Mark(100, 100)]));
        Assert.NotNull(new PatternReader(1).Check([.. bytes[..201], .. Pattern.Mark(100, 100)]));
    }

    [Fact]
    public void A_message_that_is_cut_changed_doubled_or_in_another_order_is_found()
    {
        MessagePattern pattern = new(1, 100);
        MessageReader ordered = new(pattern, 4, inOrder: true), reader = new(pattern, 4, inOrder: false);
        Assert.Equal(1, reader.Take(pattern[1]));
        Assert.Equal(0, reader.Take(pattern[0]));
        Assert.Equal(2, reader.Count);
        AssertWrong(reader, pattern[1]);
        AssertWrong(reader, pattern[2][..^1]);
        AssertWrong(reader, [.. pattern[2][..^1], (byte)(pattern[2][^1] ^ 1)]);
        AssertWrong(reader, pattern[4]);
        AssertWrong(reader, []);
        AssertWrong(ordered, pattern[1]);
        Assert.Equal(0, ordered.Take(pattern[0]));

        static void AssertWrong(MessageReader reader, byte[] message) => Assert.Throws<InvalidDataException>(() => reader.Take(message));
    }

    [Fact]
    public void An_activity_that_stays_in_a_step_is_stuck_unless_it_awaits_others()
    {
        Activities activities = new();
        Activity activity = activities.Begin("one");
        activity.Awaits("a read", 7);
        Assert.Null(activities.FindStuck(0));
        activities.Look();
        Assert.Same(activity, activities.FindStuck(0));
        Assert.Null(activities.FindStuck(1));
        Assert.Contains("one awaits a read at 7", Assert.Single(activities.Dump()), StringComparison.Ordinal);
        activity.AwaitsOthers("its flows");
        activities.Look();
        Assert.Null(activities.FindStuck(0));
        activities.End(activity);
        Assert.Empty(activities.Dump());
    }
}
