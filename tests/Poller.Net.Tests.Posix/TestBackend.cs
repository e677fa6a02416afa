using Poller.Abstractions;
using Poller.Posix;

namespace Poller.Net.Tests;

/// <summary>The net layer's tests over poll(2).</summary>
internal static class TestBackend
{
    public static INetpollFactory Factory { get; } = new PosixNetpollFactory();
}
