namespace Poller.Epoll.Tests;

/// <summary>The polls take the two calls in turns, epoll_pwait2 and epoll_wait.</summary>
public sealed class EpollTortureTests() : EdgeTortureTests<EpollNetpoll>(new EpollNetpoll(), rounds: 2000)
{
    protected override void Vary(Random random) => Poller.HasPwait2 = random.Next(2) == 0;
}

public sealed class EpollManyDescriptorsTests() : EdgeManyDescriptorsTests<EpollNetpoll>(new EpollNetpoll())
{
    protected override int Capacity => Poller.Capacity;
}

public sealed class EpollRegistrationTests() : EdgeRegistrationTests<EpollNetpoll>(new EpollNetpoll());

public sealed class EpollSignalTests() : SignalTests<EpollNetpoll>(new EpollNetpoll());

/// <summary>The same where the kernel has no epoll_pwait2.</summary>
public sealed class EpollWaitSignalTests() : SignalTests<EpollNetpoll>(new EpollNetpoll { HasPwait2 = false });
