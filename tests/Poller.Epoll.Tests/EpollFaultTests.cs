using Poller.Abstractions;
using Xunit.Abstractions;

namespace Poller.Epoll.Tests;

/// <summary>The kit over this backend with faults.</summary>
public sealed class EpollFaultTests(ITestOutputHelper output) : BackendFaultTests(new EpollNetpollFactory(), output);

/// <summary>The same of level-triggering.</summary>
public sealed class EpollLevelFaultTests(ITestOutputHelper output)
    : LevelBackendFaultTests(new EpollNetpollFactory(new() { Trigger = PollTrigger.Level }), output);
