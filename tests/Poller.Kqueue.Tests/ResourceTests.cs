using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

[Collection(ProcessWide.Name)]
[Trait("Kernel", "emulated")]
public sealed class ResourceTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_descriptor_is_leaked(bool hasUserFilter)
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
            using KqueueNetpoll poller = new(new EmulatedKernel(KqueuePlatform.NetBSD) { HasUserFilter = hasUserFilter });
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
        static void Forget()
        {
            for (int i = 0; i < Pollers; i++) new KqueueNetpoll(new EmulatedKernel(KqueuePlatform.MacOS)).Init();
        }
    }

    [Theory]
    [InlineData("kqueue")]
    [InlineData("kevent add the wake-up")]
    public void An_Init_that_is_refused_names_the_call_leaks_nothing_and_may_be_tried_again(string operation)
    {
        const int Tries = 100;
        EmulatedKernel kernel = new(KqueuePlatform.NetBSD)
        {
            HasUserFilter = false,
            KqueueError = operation == "kqueue" ? Errno.EMFILE : Errno.None,
            PipeError = operation == "kqueue" ? Errno.None : Errno.EMFILE,
        };
        using KqueueNetpoll poller = new(kernel);
        int before = CountDescriptors();

        for (int i = 0; i < Tries; i++)
        {
            NetpollException error = Assert.Throws<NetpollException>(poller.Init);
            Assert.Equal((operation, Errno.EMFILE), (error.Operation, error.Error));
        }

        Assert.InRange(CountDescriptors(), 0, before + Tries / 10);
        Assert.Throws<InvalidOperationException>(poller.Break);
        (kernel.KqueueError, kernel.PipeError) = (Errno.None, Errno.None);
        poller.Init();
        poller.Break();
        Assert.Equal(0, poller.Poll(new PollEvent[1], -1));
    }

    private static int CountDescriptors() => Directory.GetFiles("/proc/self/fd").Length;
}
