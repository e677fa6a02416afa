using Poller.Abstractions;

namespace Poller.Epoll.Tests;

/// <summary>epoll by EPOLLONESHOT, which the tests of level-triggering run over here.</summary>
internal static class EpollLevel
{
    public static INetpollFactory Factory { get; } = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });
}

public sealed class EpollLevelArmTests() : LevelArmTests(EpollLevel.Factory);

public sealed class EpollLevelBreakTests() : LevelBreakTests(EpollLevel.Factory);

public sealed class EpollLevelManyDescriptorsTests() : LevelManyDescriptorsTests(EpollLevel.Factory);

public sealed class EpollLevelReadinessTests() : LevelReadinessTests(EpollLevel.Factory);

public sealed class EpollLevelRegistrationTests() : LevelRegistrationTests(EpollLevel.Factory);

public sealed class EpollLevelTortureTests() : LevelTortureTests(EpollLevel.Factory);

public sealed class EpollLevelSignalTests() : SignalTests<INetpoll>(EpollLevel.Factory.Create());
