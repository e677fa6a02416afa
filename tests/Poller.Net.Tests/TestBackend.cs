using Poller.Abstractions;
using Poller.Epoll;

namespace Poller.Net.Tests;

/// <summary>
/// The backend that the tests of this project run over; each of its sister projects, which compile the same sources, has another.
/// </summary>
internal static class TestBackend
{
    public static INetpollFactory Factory { get; } = new EpollNetpollFactory();
}
