using System.Net;
using System.Reflection;

namespace Poller.Net.Tests;

/// <summary>A thread that is interrupted while it waits for a lock of the library, and not in a blocking call's own wait.</summary>
public sealed class InterruptTests
{
    private FdMutex _mutex;

    [Fact]
    public async Task It_hands_its_lock_of_a_descriptor_over()
    {
        Assert.Equal(FdLock.Acquired, _mutex.TryLock(Direction.Read));
        TestWaiter next = new();
        Assert.Equal(FdLock.Queued, _mutex.LockOrQueue(Direction.Read, next));
        Operation<PollWaiter?> unlocking;
        using (LockOfTheQueues().EnterScope())
        {
            unlocking = new Operation<PollWaiter?>(() =>
            {
                Thread.CurrentThread.Interrupt();
                _mutex.Unlock(Direction.Read, out PollWaiter? runnable);
                return runnable;
            }).Waiting();
        }
        Assert.Same(next, await unlocking.Within());
        Assert.Equal(FdLock.Acquired, next.LockState);
    }

    [Fact]
    public async Task It_wakes_another_thread()
    {
        ThreadWaiter? waiter = null;
        using ManualResetEventSlim sleeps = new();
        Operation<ThreadInterruptedException?> sleeper = new(() =>
        {
            waiter = ThreadWaiter.OfThisThread;
            sleeps.Set();
            return waiter.Sleep();
        });
        Assert.True(sleeps.Wait(Fixture.Patience));
        Operation<bool> waker;
        lock (waiter!)
        {
            waker = new Operation<bool>(() =>
            {
                Thread.CurrentThread.Interrupt();
                return waiter.TryWakeThread();
            });
            waker.Waiting();
        }
        Assert.True(await waker.Within());
        Assert.Null(await sleeper.Within());
    }

    [Fact]
    public async Task It_opens_a_descriptor_in_the_backend()
    {
        FaultyNetpollFactory backend = new();
        using Fixture fixture = new(backend);
        (TcpConn _, TcpConn _) = await fixture.PairAsync();
        FaultyNetpoll poll = Assert.Single(backend.Made);
        int opens = 0;
        poll.Opening = () =>
        {
            if (Interlocked.Increment(ref opens) == 1) throw new ThreadInterruptedException("in a lock of the backend");
        };
        Operation<ThreadInterruptedException> dialer = new(() =>
        {
            using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
            return Assert.Throws<ThreadInterruptedException>(() => Thread.Sleep(Timeout.Infinite));
        });
        await dialer.Within();
        Assert.Equal(2, opens);
    }

    private Lock LockOfTheQueues()
    {
        object queues = typeof(FdMutex).GetField("_queues", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(_mutex)!;
        return (Lock)queues.GetType().GetField("Lock")!.GetValue(queues)!;
    }
}
