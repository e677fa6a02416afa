using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class PollDescTests
{
    [Fact]
    public void Readiness_and_a_deadline_racing_for_a_parked_waiter_wake_it_once()
    {
        const int Rounds = 20_000;
        PollDesc desc = new(0);
        desc.Open(3);
        using Barrier barrier = new(3);
        int woken = 0;
        PollWaiter?[] got = new PollWaiter?[2];
        Worker a = Worker.Start(() => Repeat(0, () =>
        {
            desc.Notify(new PollEvent(desc.Token, PollReadiness.Readable), out PollWaiter? reader, out PollWaiter? _, out _);
            return reader;
        }));
        Worker b = Worker.Start(() => Repeat(1, () => desc.Expire(Direction.Read)));
        TestWaiter waiter = new();
        for (int i = 0; i < Rounds; i++)
        {
            desc.Unexpire(Direction.Read);
            Assert.Equal(0, desc.Reset(Direction.Read));
            Assert.Equal(PollPark.Parked, desc.Park(Direction.Read, waiter));
            Assert.True(barrier.SignalAndWait(Fixture.Patience));
            Assert.True(barrier.SignalAndWait(Fixture.Patience));
            woken += got.Count(w => w is not null);
            Assert.Equal(i + 1, woken);
            desc.Consume(Direction.Read);
        }
        a.Join();
        b.Join();

        void Repeat(int index, Func<PollWaiter?> act)
        {
            for (int i = 0; i < Rounds; i++)
            {
                Assert.True(barrier.SignalAndWait(Fixture.Patience));
                got[index] = act();
                Assert.True(barrier.SignalAndWait(Fixture.Patience));
            }
        }
    }

    [Fact]
    public void A_park_racing_with_a_close_is_woken_or_turned_away()
    {
        const int Rounds = 20_000;
        using Barrier barrier = new(2);
        PollDesc desc = new(0);
        PollWaiter? evicted = null;
        Worker closer = Worker.Start(() =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                Assert.True(barrier.SignalAndWait(Fixture.Patience));
                desc.Evict(out evicted, out PollWaiter? _);
                Assert.True(barrier.SignalAndWait(Fixture.Patience));
            }
        });
        for (int i = 0; i < Rounds; i++)
        {
            desc.Open(3);
            TestWaiter waiter = new();
            Assert.True(barrier.SignalAndWait(Fixture.Patience));
            PollPark park = desc.Park(Direction.Read, waiter);
            Assert.True(barrier.SignalAndWait(Fixture.Patience));
            if (park == PollPark.Parked)
            {
                Assert.Same(waiter, evicted);
                Assert.False(desc.Consume(Direction.Read));
            }
            else
            {
                Assert.Equal(PollPark.Unblocked, park);
                Assert.Null(evicted);
            }
            Assert.Equal(IoResult.Closing, desc.Check(Direction.Read));
            desc.Free();
        }
        closer.Join();
    }

    [Fact]
    public void An_event_of_an_earlier_life_is_dropped()
    {
        PollDesc desc = new(5);
        desc.Open(3);
        PollToken old = desc.Token;
        desc.Evict(out _, out _);
        desc.Free();
        desc.Open(3);
        TestWaiter waiter = new();
        Assert.Equal(PollPark.Parked, desc.Park(Direction.Read, waiter));

        desc.Notify(
            new PollEvent(old, PollReadiness.Readable | PollReadiness.ReadHangup | PollReadiness.Error),
            out PollWaiter? reader, out PollWaiter? writer, out _);

        Assert.Null(reader);
        Assert.Null(writer);
        Assert.False(desc.HangupSeen);
        Assert.Equal(0, desc.Check(Direction.Read));
        desc.Notify(new PollEvent(desc.Token, PollReadiness.Readable), out reader, out _, out _);
        Assert.Same(waiter, reader);
    }

    [Fact]
    public void An_error_that_passes_is_no_reason_not_to_wait_and_the_next_life_starts_without_that()
    {
        const PollReadiness Error = PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Error;
        PollDesc desc = new(0);
        desc.Open(3);
        desc.Notify(new PollEvent(desc.Token, Error), out _, out _, out _);
        Assert.Equal(IoResult.NotPollable, desc.Check(Direction.Read));
        desc.LetErrorsPass();
        Assert.Equal(0, desc.Check(Direction.Read));
        desc.Notify(new PollEvent(desc.Token, Error), out _, out _, out _);
        Assert.Equal(0, desc.Check(Direction.Read));
        Assert.Equal(PollPark.Ready, desc.Park(Direction.Read, new TestWaiter()));

        desc.Free();
        desc.Open(3);
        desc.Notify(new PollEvent(desc.Token, Error), out _, out _, out _);
        Assert.Equal(IoResult.NotPollable, desc.Check(Direction.Read));
    }

    [Fact]
    public void Readiness_beats_a_deadline_and_outlives_a_close()
    {
        PollDesc desc = new(0);
        desc.Open(3);
        desc.Notify(new PollEvent(desc.Token, PollReadiness.Readable), out _, out _, out _);
        desc.Expire(Direction.Read);
        desc.Evict(out _, out _);
        Assert.Equal(PollPark.Ready, desc.Park(Direction.Read, new TestWaiter()));
        Assert.Equal(PollPark.Unblocked, desc.Park(Direction.Read, new TestWaiter()));
    }

    [Fact]
    public void A_park_racing_with_a_cancellation_is_woken_or_turned_away()
    {
        const int Rounds = 100_000;
        PollDesc desc = new(0);
        desc.Open(3);
        TestWaiter waiter = new();
        int round = 0;
        int canceled = 0;
        PollWaiter? woken = null;

        // The two threads meet by spinning. A barrier would be a fence, and this test looks for missing fences.
        Worker canceler = Worker.Start(() =>
        {
            for (int i = 1; i <= Rounds; i++)
            {
                for (int spins = 0; Volatile.Read(ref round) != i; spins++) Pause(spins);
                waiter.Cancel();
                woken = desc.Cancel(Direction.Read);
                Volatile.Write(ref canceled, i);
            }
        });
        int lost = 0;
        for (int i = 1; i <= Rounds; i++)
        {
            waiter.Cancel(false);
            Volatile.Write(ref round, i);
            PollPark park = desc.Park(Direction.Read, waiter);
            for (int spins = 0; Volatile.Read(ref canceled) != i && !canceler.HasFinished; spins++) Pause(spins);
            if (park != PollPark.Parked) continue;
            if (woken is null && desc.Cancel(Direction.Read) is not null) lost++;
            desc.Consume(Direction.Read);
        }
        canceler.Join();
        Assert.Equal(0, lost);

        // If the other has no core it cannot come.
        static void Pause(int spins)
        {
            if (spins < 1000) Thread.SpinWait(1);
            else Thread.Yield();
        }
    }
}
