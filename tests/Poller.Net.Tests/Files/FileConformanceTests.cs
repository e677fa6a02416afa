using Poller.Conformance;

namespace Poller.Net.Tests;

/// <summary>What holds of every file, held of one over each backend; a class a dispatch.</summary>
[Trait("Tests", "long")]
public abstract class FileConformanceTests<TBackend>(Netpoller poller) : PolledFileConformance(poller) where TBackend : ITestBackend
{
    /// <inheritdoc/>
    protected override int Reopenings =>
        TestLength.IsLong && Poller.Dispatch == NetpollDispatch.Adaptive ? 50_000 : base.Reopenings;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) Poller.Dispose();
    }

    protected static Netpoller PollerOf(NetpollDispatch dispatch) =>
        new(TBackend.Factory, new NetpollerOptions { Dispatch = dispatch, Loops = 2 });
}

public abstract class AdaptiveFileConformanceTests<TBackend>() : FileConformanceTests<TBackend>(PollerOf(NetpollDispatch.Adaptive))
    where TBackend : ITestBackend;

public abstract class InlineFileConformanceTests<TBackend>() : FileConformanceTests<TBackend>(PollerOf(NetpollDispatch.Inline))
    where TBackend : ITestBackend;

public abstract class ThreadPoolFileConformanceTests<TBackend>() : FileConformanceTests<TBackend>(PollerOf(NetpollDispatch.ThreadPool))
    where TBackend : ITestBackend;
