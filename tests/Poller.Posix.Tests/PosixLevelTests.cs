using Poller.Abstractions;

namespace Poller.Posix.Tests;

public sealed class PosixArmTests() : LevelArmTests(new PosixNetpollFactory());

public sealed class PosixBreakTests() : LevelBreakTests(new PosixNetpollFactory());

public sealed class PosixManyDescriptorsTests() : LevelManyDescriptorsTests(new PosixNetpollFactory());

public sealed class PosixReadinessTests() : LevelReadinessTests(new PosixNetpollFactory());

public sealed class PosixRegistrationTests() : LevelRegistrationTests(new PosixNetpollFactory());

public sealed class PosixTortureTests() : LevelTortureTests(new PosixNetpollFactory());

public sealed class PosixSignalTests() : SignalTests<INetpoll>(new PosixNetpollFactory().Create());

public sealed class PosixResourceTests() : ResourceTests(() => new PosixNetpoll());
