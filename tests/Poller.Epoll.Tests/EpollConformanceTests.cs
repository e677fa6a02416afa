using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;
using Poller.Conformance;

namespace Poller.Epoll.Tests;

/// <summary>What holds of every poller, held of this one.</summary>
public sealed class EpollConformanceTests() : NetpollConformance(new EpollNetpollFactory());

/// <summary>The same of level-triggering.</summary>
public sealed class EpollLevelConformanceTests() : NetpollConformance(new EpollNetpollFactory(new() { Trigger = PollTrigger.Level }));

/// <summary>The same where the kernel has no epoll_pwait2, and counts in milliseconds.</summary>
public sealed class EpollWaitConformanceTests() : NetpollConformance(new EpollWaitFactory())
{
    private sealed class EpollWaitFactory : INetpollFactory
    {
        private readonly EpollNetpollFactory _factory = new();

        public string Name => _factory.Name;

        public bool IsSupported([NotNullWhen(false)] out string? reason) => _factory.IsSupported(out reason);

        public INetpoll Create() => new EpollNetpoll { HasPwait2 = false };
    }
}
