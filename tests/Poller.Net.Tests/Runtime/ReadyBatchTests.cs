namespace Poller.Net.Tests;

public sealed class ReadyBatchTests
{
    [Fact]
    public void Waiters_are_claimed_in_order_and_once()
    {
        ReadyBatch batch = new();
        TestWaiter[] waiters = [.. Enumerable.Range(0, 300).Select(_ => new TestWaiter())];
        foreach (TestWaiter waiter in waiters) Assert.True(batch.TryAdd(waiter));
        Assert.False(batch.TryClaim(out _));
        Assert.Equal(300, batch.Publish());
        Assert.Equal(300, batch.Remaining);
        foreach (TestWaiter waiter in waiters)
        {
            Assert.True(batch.TryClaim(out PollWaiter? claimed));
            Assert.Same(waiter, claimed);
        }
        Assert.False(batch.TryClaim(out _));
        Assert.Equal(0, batch.Remaining);
    }

    [Fact]
    public void An_empty_batch_keeps_the_epoch()
    {
        ReadyBatch batch = new();
        uint epoch = batch.Epoch;
        Assert.Equal(0, batch.Publish());
        Assert.Equal(epoch, batch.Epoch);
        batch.TryAdd(new TestWaiter());
        batch.Publish();
        Assert.NotEqual(epoch, batch.Epoch);
    }

    [Fact]
    public void A_full_batch_turns_away()
    {
        ReadyBatch batch = new();
        TestWaiter waiter = new();
        for (int i = 0; i < ReadyBatch.MaxCount; i++) Assert.True(batch.TryAdd(waiter));
        Assert.False(batch.TryAdd(waiter));
        Assert.Equal(ReadyBatch.MaxCount, batch.Publish());
    }

    [Fact]
    public void Claimers_racing_with_the_filler_take_each_waiter_once()
    {
        const int Batches = 5_000;
        ReadyBatch batch = new();
        int stop = 0;
        Worker[] helpers = [.. Enumerable.Range(0, 3).Select(_ => Worker.Start(() =>
        {
            while (Volatile.Read(ref stop) == 0)
            {
                while (batch.TryClaim(out PollWaiter? waiter)) waiter.Execute();
            }
        }))];
        List<TestWaiter> all = [];
        for (int i = 0; i < Batches; i++)
        {
            batch.Clear();
            for (int j = 0; j <= i % 40; j++)
            {
                TestWaiter waiter = new();
                all.Add(waiter);
                batch.TryAdd(waiter);
            }
            batch.Publish();
            while (batch.TryClaim(out PollWaiter? waiter)) waiter.Execute();
        }
        Volatile.Write(ref stop, 1);
        foreach (Worker helper in helpers) helper.Join();
        Assert.All(all, waiter => Assert.Equal(1, waiter.Runs));
    }
}
