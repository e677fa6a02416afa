using Xunit.Abstractions;

namespace Poller.Posix.Tests;

/// <summary>The kit over this backend with faults.</summary>
public sealed class PosixFaultTests(ITestOutputHelper output) : LevelBackendFaultTests(new PosixNetpollFactory(), output);
