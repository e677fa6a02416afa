using Xunit.Abstractions;

namespace Poller.Interleaving.Tests;

/// <summary>Tests of the explorer itself: it finds known races, and passes code that is known to be right.</summary>
public sealed class ExplorerTests(ITestOutputHelper output)
{
    private sealed class Box
    {
        public int Value;
        public int Other;
        public int Seen;
        public int OtherSeen;
    }

    [Fact]
    public void A_counter_that_is_read_and_then_written_loses_a_count()
    {
        ScheduleFailure failure = Broken(static run => Counter(run, ReadThenWrite));
        Assert.Contains("2 increments gave 1", failure.Message, StringComparison.Ordinal);
        Assert.Equal(1, failure.Preemptions);
    }

    [Fact]
    public void A_counter_that_is_incremented_atomically_loses_none() =>
        Passes(run => Counter(run, static box => Interlocked.Increment(ref box.Value)));

    [Fact]
    public void A_counter_under_a_lock_loses_none() => Passes(run =>
    {
        Lock gate = new();
        Counter(run, box =>
        {
            lock (gate) ReadThenWrite(box);
        });
    });

    [Fact]
    public void A_schedule_replays_the_failure_it_was_printed_with()
    {
        static void Scenario(Run run) => Counter(run, ReadThenWrite);
        ScheduleFailure failure = Broken(Scenario);
        ScheduleFailure? replayed = Explorer.Replay(Scenario, failure.Schedule);
        Assert.Equal(failure, replayed);
        Assert.Null(Explorer.Replay(Scenario, ""));
    }

    [Fact]
    public void Two_locks_taken_in_turn_deadlock()
    {
        ScheduleFailure failure = Broken(static run =>
        {
            AutoResetEvent left = new(true);
            AutoResetEvent right = new(true);
            run.Thread("one", () => Both(left, right));
            run.Thread("two", () => Both(right, left));

            static void Both(AutoResetEvent first, AutoResetEvent second)
            {
                first.WaitOne();
                second.WaitOne();
                second.Set();
                first.Set();
            }
        });
        Assert.Contains("deadlock: one waits at Wait event; two waits at Wait event", failure.Message, StringComparison.Ordinal);
        Assert.Equal(1, failure.Preemptions);
    }

    [Fact]
    public void A_wait_for_what_nobody_does_makes_no_progress()
    {
        ScheduleFailure failure = Broken(static run =>
        {
            Box box = new();
            run.Thread("waiter", () =>
            {
                while (Volatile.Read(ref box.Value) == 0) ControlledThread.Yield();
            });
        });
        Assert.Contains("no progress", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_loop_that_yields_lets_the_others_go_on() => Passes(static run =>
    {
        Box box = new();
        run.Thread("waiter", () =>
        {
            while (Volatile.Read(ref box.Value) == 0) ControlledThread.Yield();
        });
        run.Thread("setter", () => Volatile.Write(ref box.Value, 1));
    });

    // Store buffering is the litmus test that tells x86-TSO from sequential consistency.
    [Fact]
    public void A_volatile_write_may_be_overtaken_by_the_read_behind_it()
    {
        ScheduleFailure failure = Broken(static run => StoreBuffering(run, static (ref int mine) => Volatile.Write(ref mine, 1)));
        Assert.Contains("neither saw the other", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_exchange_is_not_overtaken() =>
        Passes(static run => StoreBuffering(run, static (ref int mine) => Interlocked.Exchange(ref mine, 1)));

    [Fact]
    public void A_volatile_write_behind_a_fence_is_not_overtaken() => Passes(static run => StoreBuffering(run, static (ref int mine) =>
    {
        Volatile.Write(ref mine, 1);
        Interlocked.MemoryBarrier();
    }));

    // Message passing works on x86-TSO: other threads see stores in their order, and reads happen in their order.
    [Fact]
    public void Volatile_writes_are_seen_in_their_order() => Passes(static run =>
    {
        Box box = new();
        run.Thread("writer", () =>
        {
            Volatile.Write(ref box.Value, 1);
            Volatile.Write(ref box.Other, 1);
        });
        run.Thread("reader", () =>
        {
            Volatile.Write(ref box.Seen, -1); // This puts a store into its own store buffer.
            if (Volatile.Read(ref box.Other) == 0) return;
            Invariant.Holds(Volatile.Read(ref box.Value) == 1, "the later write was seen before the earlier.");
        });
    });

    [Fact]
    public void A_thread_sees_its_own_writes() => Passes(static run =>
    {
        Box box = new();
        run.Thread("writer", () =>
        {
            Volatile.Write(ref box.Value, 1);
            Invariant.Holds(Volatile.Read(ref box.Value) != 0, "its own write was not seen.");
        });
        run.Thread("other", () => Volatile.Write(ref box.Value, 2));
    });

    [Fact]
    public void Every_interleaving_within_the_bound_runs_once()
    {
        // Two threads of n steps each: all orders that keep each thread's own order. Here these are 6! / (3! 3!), and the bound is high
        // enough for all.
        HashSet<string> orders = [];
        Exploration all = Explorer.Explore(
            run =>
            {
                Box box = new();
                char[] order = new char[6];
                int length = 0;
                foreach (char name in "ab")
                {
                    run.Thread(name.ToString(), () =>
                    {
                        for (int i = 0; i < 3; i++)
                        {
                            Interlocked.Increment(ref box.Value);
                            order[length++] = name;
                        }
                    });
                }
                run.Finally(() => orders.Add(new string(order)));
            },
            bound: 6);
        Assert.Null(all.Failure);
        Assert.Equal(20, all.Schedules);
        Assert.Equal(20, orders.Count);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("x:1")]
    [InlineData("3:1 2:1")]
    [InlineData("1:256")]
    public void A_schedule_that_is_none_is_refused_with_words(string text)
    {
        FormatException refused = Assert.Throws<FormatException>(() => Schedule.Parse(text));
        Assert.Contains("decision:option was expected", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_schedule_of_another_scenario_is_refused_with_words() =>
        Assert.Contains(
            "the schedule is another scenario's",
            Explorer.Replay(static run => Counter(run, static box => Interlocked.Increment(ref box.Value)), "0:9")?.Message,
            StringComparison.Ordinal);

    private delegate void Announce(ref int mine);

    private static void StoreBuffering(Run run, Announce announce)
    {
        Box box = new();
        run.Thread("one", () =>
        {
            announce(ref box.Value);
            box.Seen = Volatile.Read(ref box.Other);
        });
        run.Thread("two", () =>
        {
            announce(ref box.Other);
            box.OtherSeen = Volatile.Read(ref box.Value);
        });
        run.Finally(() => Invariant.Holds(box.Seen == 1 || box.OtherSeen == 1, "neither saw the other."));
    }

    private static void ReadThenWrite(Box box) => Volatile.Write(ref box.Value, Volatile.Read(ref box.Value) + 1);

    private static void Counter(Run run, Action<Box> increment)
    {
        Box box = new();
        run.Thread("one", () => increment(box));
        run.Thread("two", () => increment(box));
        run.Finally(() => Invariant.Holds(box.Value == 2, $"2 increments gave {box.Value}."));
    }

    private void Passes(Action<Run> scenario)
    {
        Exploration result = Explorer.Explore(scenario);
        output.WriteLine($"{result.Schedules} schedules in {result.Elapsed.TotalMilliseconds:F1} ms");
        Assert.True(result.Failure is null, result.Failure?.ToString());
        Assert.True(result.Schedules > 1);
    }

    private ScheduleFailure Broken(Action<Run> scenario)
    {
        Exploration result = Explorer.Explore(scenario);
        Assert.NotNull(result.Failure);
        output.WriteLine($"after {result.Schedules} schedules: {result.Failure}");
        return result.Failure;
    }
}
