using Poller.Conformance;

namespace Poller.Net.Tests;

/// <summary>What holds of every net stack, held of one over each backend; a class a dispatch.</summary>
public abstract class ConformanceTests<TBackend>(Netpoller poller) : NetStackConformance(new NetStack(poller)) where TBackend : ITestBackend
{
    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) poller.Dispose();
    }

    protected static Netpoller PollerOf(NetpollDispatch dispatch) => new(TBackend.Factory, new NetpollerOptions { Dispatch = dispatch });
}

public abstract class AdaptiveConformanceTests<TBackend>() : ConformanceTests<TBackend>(PollerOf(NetpollDispatch.Adaptive))
    where TBackend : ITestBackend;

public abstract class InlineConformanceTests<TBackend>() : ConformanceTests<TBackend>(PollerOf(NetpollDispatch.Inline))
    where TBackend : ITestBackend;

public abstract class ThreadPoolConformanceTests<TBackend>() : ConformanceTests<TBackend>(PollerOf(NetpollDispatch.ThreadPool))
    where TBackend : ITestBackend;

public abstract class UnixConformanceTests<TBackend>() : ConformanceTests<TBackend>(PollerOf(NetpollDispatch.Adaptive))
    where TBackend : ITestBackend
{
    /// <inheritdoc/>
    protected override string Network => "unix";
}

/// <summary>What holds of the Unix sockets of every net stack.</summary>
public abstract class UnixStackTests<TBackend> : UnixStackConformance where TBackend : ITestBackend
{
    private readonly Netpoller _poller;

    protected UnixStackTests() : this(new Netpoller(TBackend.Factory)) { }

    private UnixStackTests(Netpoller poller) : base(new NetStack(poller)) => _poller = poller;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing) _poller.Dispose();
    }
}
