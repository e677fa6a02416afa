using Poller.Abstractions;
using Poller.Kqueue.Tests;

namespace Poller.Net.Tests;

/// <summary>The backend that the tests of this project run over: the kqueue one, over an emulated kernel.</summary>
internal static class TestBackend
{
    public static INetpollFactory Factory { get; } = new EmulatedKqueueFactory();
}
