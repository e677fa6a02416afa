using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

[Trait("Kernel", "emulated")]
public sealed class KqueueResourceTests() : ResourceTests(Emulated.Poller)
{
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
}

/// <summary>The same where the kernel has no EVFILT_USER, and a pipe wakes it.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueuePipeResourceTests()
    : ResourceTests(() => new KqueueNetpoll(new EmulatedKernel(KqueuePlatform.NetBSD) { HasUserFilter = false }));
