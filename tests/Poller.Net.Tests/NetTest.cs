using Microsoft.Extensions.Logging;

namespace Poller.Net.Tests;

/// <summary>
/// Tests of the net layer over a backend. A class of them is abstract and generic, and each file of the folder Over has a subclass of it
/// for one backend. A class of tests that need a poller, and no particular one, derives from <c>NetTest&lt;EpollBackend&gt;</c> and runs
/// once.
/// </summary>
/// <typeparam name="TBackend">The backend.</typeparam>
public abstract class NetTest<TBackend> where TBackend : ITestBackend
{
    /// <summary>A poller of one test's own over this backend, and a net stack over it.</summary>
    private protected sealed class Fixture(
        NetpollDispatch dispatch = NetpollDispatch.Adaptive,
        int loops = 1,
        TimeProvider? clock = null,
        ISocketApi? api = null,
        INameLookup? names = null,
        ILoggerFactory? log = null,
        int maxBlockedHandlers = 1024) : Tests.Fixture(TBackend.Factory, dispatch, loops, clock, api, names, log, maxBlockedHandlers);
}
