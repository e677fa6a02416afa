using Poller.Abstractions;
using Poller.Posix;

namespace Poller.Level.Tests;

/// <summary>The backend that the tests of level-triggering run over here; epoll's tests compile the same and have another.</summary>
internal static class LevelBackend
{
    public static INetpollFactory Factory { get; } = new PosixNetpollFactory();
}
