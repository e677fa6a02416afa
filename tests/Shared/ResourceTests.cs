using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>The descriptors that a backend takes for itself, it gives back.</summary>
[Collection(ProcessWide.Name)]
public abstract class ResourceTests(Func<INetpoll> create)
{
    [Fact]
    public void No_descriptor_is_leaked()
    {
        const int Pollers = 300;
        UseOne();
        int before = CountDescriptors();

        for (int i = 0; i < Pollers; i++) UseOne();

        // The runtime may open some of its own meanwhile, not hundreds.
        Assert.InRange(CountDescriptors(), 0, before + Pollers / 10);

        void UseOne()
        {
            using Fd fd = Fd.EventFd();
            using INetpoll poller = create();
            poller.Init();
            poller.Break();
            poller.Open(fd, new PollToken(1));
            poller.Poll(new PollEvent[2], -1);
            if (fd.Number % 2 == 0) poller.Close(fd);
        }
    }

    [Fact]
    public void A_poller_nobody_disposes_is_closed_by_the_collector()
    {
        const int Pollers = 100;
        int before = CountDescriptors();
        Forget();

        bool collected = SpinWait.SpinUntil(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return CountDescriptors() < before + Pollers / 10;
        }, Worker.Bound);

        Assert.True(collected, $"{CountDescriptors() - before} descriptors were left");

        [MethodImpl(MethodImplOptions.NoInlining)] // No frame that still runs may hold the last of them.
        void Forget()
        {
            for (int i = 0; i < Pollers; i++) create().Init();
        }
    }

    protected static int CountDescriptors() => Directory.GetFiles("/proc/self/fd").Length;
}
