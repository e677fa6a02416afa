using Poller.Conformance;

namespace Poller.Net.Tests;

/// <summary>What holds of every net stack, held of one over this project's backend; a class a dispatch.</summary>
public abstract class ConformanceTests(Netpoller poller) : NetStackConformance(new NetStack(poller))
{
    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) poller.Dispose();
    }

    protected static Netpoller PollerOf(NetpollDispatch dispatch) => new(TestBackend.Factory, new NetpollerOptions { Dispatch = dispatch });
}

public sealed class AdaptiveConformanceTests() : ConformanceTests(PollerOf(NetpollDispatch.Adaptive));

public sealed class InlineConformanceTests() : ConformanceTests(PollerOf(NetpollDispatch.Inline));

public sealed class ThreadPoolConformanceTests() : ConformanceTests(PollerOf(NetpollDispatch.ThreadPool));
