using System.Globalization;
using System.Text;
using FsCheck.Xunit;
using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// PollDesc, with the deadlines of its loop on a clock of the test's own, against a pure model of the table at its head. A failure shrinks,
/// and prints the steps and the seed.
/// </summary>
public sealed class PollDescModelTests
{
    private sealed class Model
    {
        public sealed class Side
        {
            public bool Ready;
            public TestWaiter? Parked;
            public TestWaiter? Runnable; // It was taken out of Parked, and has not consumed yet.
            public int? Deadline; // In ms of Now.
            public bool DeadlinePassed;
            public int? Timeout;
            public bool TimeoutPassed;
            public bool Expired => DeadlinePassed || TimeoutPassed;
            public bool Idle => Parked is null && Runnable is null;
        }

        public readonly Side Read = new();
        public readonly Side Write = new();
        public int Now;
        public uint Sequence;
        public bool Closing;
        public bool Error;
        public bool Hangup;

        public Side Of(Direction direction) => direction == Direction.Read ? Read : Write;

        public IoResult CheckBegin(Direction direction) =>
            Closing ? IoResult.Closing
            : Of(direction).Expired ? IoResult.Timeout
            : 0;

        public IoResult Check(Direction direction)
        {
            IoResult reason = CheckBegin(direction);
            return reason == 0 && direction == Direction.Read && Error ? IoResult.NotPollable : reason;
        }

        public TestWaiter? Notify(Direction direction)
        {
            Side side = Of(direction);
            side.Ready = true;
            return Release(side);
        }

        public TestWaiter? SetDeadline(Direction direction, int? deadline)
        {
            if (Closing) return null;
            Of(direction).Deadline = deadline;
            Of(direction).DeadlinePassed = deadline <= Now;
            return Of(direction).DeadlinePassed ? Release(Of(direction)) : null;
        }

        // An operation that begins sets it.
        public void SetTimeout(Direction direction, int? timeout)
        {
            if (Closing) return;
            Of(direction).Timeout = timeout;
            Of(direction).TimeoutPassed = false;
        }

        // Applies what the clock does to one side.
        public TestWaiter? Pass(Direction direction)
        {
            Side side = Of(direction);
            bool deadlinePasses = !side.DeadlinePassed && side.Deadline <= Now;
            bool timeoutPasses = !side.TimeoutPassed && side.Timeout <= Now;
            side.DeadlinePassed |= deadlinePasses;
            side.TimeoutPassed |= timeoutPasses;
            return deadlinePasses || timeoutPasses ? Release(side) : null;
        }

        // A side that is Ready has no waiter; so only a parked one is released.
        public static TestWaiter? Release(Side side)
        {
            TestWaiter? waiter = side.Parked;
            side.Parked = null;
            side.Runnable = waiter;
            return waiter;
        }
    }

    [Property(MaxTest = 2000, EndSize = 400)]
    public void Every_sequence_of_steps_follows_the_model(byte[] script)
    {
        FakeTimeProvider clock = new();
        LoopClock time = new(clock);
        PollTimers timers = new();
        PollDesc desc = new(7);
        desc.Open(3);
        Model model = new();
        StringBuilder steps = new();
        foreach (byte step in script)
        {
            Direction direction = (step & 1) == 0 ? Direction.Read : Direction.Write;
            Step(desc, timers, clock, time, model, direction, (step >> 1) % 11, (step >> 1) / 11, steps);
            foreach (Direction side in (Direction[])[Direction.Read, Direction.Write])
            {
                Same(model.Check(side), desc.Check(side), $"Check({side})", steps);
                Same(model.CheckBegin(side), desc.CheckBegin(side), $"CheckBegin({side})", steps);
            }
            Same(model.Hangup, desc.HangupSeen, "HangupSeen", steps);
            Same(new PollToken(7, model.Sequence), desc.Token, "Token", steps);
        }
    }

    private static void Step(
        PollDesc desc, PollTimers timers, FakeTimeProvider clock, LoopClock time, Model model, Direction direction,
        int command, int argument, StringBuilder steps)
    {
        Model.Side side = model.Of(direction);
        switch (command)
        {
            case 0 when side.Idle:
                steps.Append(CultureInfo.InvariantCulture, $"Reset({direction}) ");
                Same(model.CheckBegin(direction), desc.Reset(direction), "Reset", steps);
                if (model.CheckBegin(direction) == 0) side.Ready = false;
                break;
            case 1 or 2 when side.Idle:
                bool canceled = argument == 1;
                steps.Append(CultureInfo.InvariantCulture, $"Park({direction}{(canceled ? ", cancelled" : "")}) ");
                TestWaiter waiter = new();
                waiter.Cancel(canceled);
                PollPark expected = side.Ready ? PollPark.Ready
                    : canceled || model.Check(direction) != 0 ? PollPark.Unblocked
                    : PollPark.Parked;
                Same(expected, desc.Park(direction, waiter), "Park", steps);
                side.Ready = false;
                if (expected == PollPark.Parked) side.Parked = waiter;
                break;
            case 1 or 2 when side.Parked is not null:
                steps.Append(CultureInfo.InvariantCulture, $"second Park({direction}) ");
                Assert.Throws<InvalidOperationException>(() => desc.Park(direction, new TestWaiter()));
                break;
            case 3 when side.Runnable is not null:
                steps.Append(CultureInfo.InvariantCulture, $"Consume({direction}) ");
                Same(side.Ready, desc.Consume(direction), "Consume", steps);
                side.Ready = false;
                side.Runnable = null;
                break;
            case 4 or 5:
                bool stale = argument == 0;
                PollReadiness readiness = (PollReadiness)(argument % 8 + 1);
                steps.Append(CultureInfo.InvariantCulture, $"Notify({readiness}{(stale ? ", stale" : "")}) ");
                desc.Notify(
                    new PollEvent(new PollToken(7, model.Sequence - (stale ? 1u : 0)), readiness),
                    out PollWaiter? reader, out PollWaiter? writer, out _);
                TestWaiter? modelReader = null;
                TestWaiter? modelWriter = null;
                if (!stale)
                {
                    model.Hangup |= (readiness & PollReadiness.ReadHangup) != 0;
                    model.Error = (readiness & PollReadiness.Error) != 0;
                    if ((readiness & PollReadiness.Readable) != 0) modelReader = model.Notify(Direction.Read);
                    if ((readiness & PollReadiness.Writable) != 0) modelWriter = model.Notify(Direction.Write);
                }
                Same(modelReader, reader, "reader made runnable", steps);
                Same(modelWriter, writer, "writer made runnable", steps);
                break;
            case 6:
                // The deadline is cleared, past, now or ahead. Half of the time it is set for both directions at once.
                int? milliseconds = argument % 6 == 0 ? null : argument % 6 - 2;
                PollMode modes = argument < 6 ? direction.ToMode() : PollMode.ReadWrite;
                steps.Append(CultureInfo.InvariantCulture,
                    $"SetDeadline({modes}, {(milliseconds is null ? "clear" : $"{milliseconds} ms")}) ");
                int? deadline = model.Now + milliseconds;
                long when = milliseconds is { } ms ? time.After(TimeSpan.FromMilliseconds(ms)) : 0;
                if (modes == direction.ToMode() && when > PollDeadlines.Past && desc.Deadlines is not null)
                {
                    bool prolongs = side is { DeadlinePassed: false, Deadline: { } armed } && deadline >= armed;
                    Same(prolongs, desc.Deadlines.TryProlong(modes, when, long.MaxValue), "TryProlong", steps);
                    if (prolongs) side.Deadline = deadline;
                    if (prolongs) break;
                }
                timers.SetDeadline(desc, modes, when, out PollWaiter? lateReader, out PollWaiter? lateWriter);
                Same(
                    (modes & PollMode.Read) != 0 ? model.SetDeadline(Direction.Read, deadline) : null,
                    lateReader,
                    "reader ended by a deadline", steps);
                Same(
                    (modes & PollMode.Write) != 0 ? model.SetDeadline(Direction.Write, deadline) : null,
                    lateWriter,
                    "writer ended by a deadline", steps);
                break;
            case 7:
                steps.Append(CultureInfo.InvariantCulture, $"Advance({argument % 3} ms) ");
                clock.Advance(TimeSpan.FromMilliseconds(argument % 3));
                model.Now += argument % 3;
                HashSet<PollWaiter> late = [];
                for (PollWaiter? ended = timers.Expire(time.Now); ended is not null; ended = ended.Next)
                {
                    Assert.True(late.Add(ended), $"after {steps}: a waiter ended twice.");
                }
                TestWaiter?[] due = [model.Pass(Direction.Read), model.Pass(Direction.Write)];
                Assert.True(late.SetEquals(due.OfType<PollWaiter>()), $"after {steps}: {late.Count} waits ended by their deadlines.");
                break;
            case 8:
                steps.Append(CultureInfo.InvariantCulture, $"Cancel({direction}) ");
                side.Parked?.Cancel();
                PollWaiter? cancelled = desc.Cancel(direction);
                Same(Model.Release(side), cancelled, "waiter cancelled", steps);
                break;
            case 9 when argument < 4:
                steps.Append("Evict ");
                timers.Evict(desc, out PollWaiter? r, out PollWaiter? w);
                model.Closing = true;
                model.Read.Deadline = model.Write.Deadline = model.Read.Timeout = model.Write.Timeout = null;
                Same(PollTimers.Never, timers.Next, "the next timer, of a desc that is closed,", steps);
                Same(Model.Release(model.Read), r, "reader evicted", steps);
                Same(Model.Release(model.Write), w, "writer evicted", steps);
                break;
            case 10 when side.Idle:
                // An operation begins, with or without a time-out.
                int? timeout = argument % 4 == 0 ? null : model.Now + argument % 4;
                string after = timeout is null ? "none" : $"{argument % 4} ms";
                steps.Append(CultureInfo.InvariantCulture, $"SetTimeout({direction}, {after}) ");
                long until = timeout is null ? PollDeadlines.None : time.After(TimeSpan.FromMilliseconds(argument % 4));
                bool isProlonged =
                    until != PollDeadlines.None && desc.Deadlines is not null && desc.Deadlines.TryProlongTimeout(direction, until);
                Same(side is { TimeoutPassed: false, Timeout: { } old } && timeout >= old, isProlonged, "TryProlongTimeout", steps);
                if (!isProlonged) timers.SetTimeout(desc, direction, until);
                model.SetTimeout(direction, timeout);
                break;
            case 9 when model is { Closing: true, Read.Idle: true, Write.Idle: true }:
                steps.Append("Free Open ");
                desc.Free();
                desc.Open(4);
                model.Sequence++;
                model.Closing = model.Error = model.Hangup = false;
                model.Read.Ready = model.Write.Ready = false;
                model.Read.DeadlinePassed = model.Write.DeadlinePassed = model.Read.TimeoutPassed = model.Write.TimeoutPassed = false;
                break;
        }
    }

    private static void Same<T>(T expected, T actual, string what, StringBuilder steps)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual))
        {
            Assert.Fail($"after {steps}: {what} is {actual}, and {expected} was expected.");
        }
    }
}
