using Microsoft.Extensions.Logging;

namespace Poller.Net;

/// <summary>How a <see cref="Netpoller"/> works. The defaults are right for most programs.</summary>
public sealed record NetpollerOptions
{
    /// <summary>Where continuations run. Default <see cref="NetpollDispatch.Adaptive"/>.</summary>
    public NetpollDispatch Dispatch { get; init; } = NetpollDispatch.Adaptive;

    /// <summary>
    /// How many loops there are, each with a poller and a polling thread of its own; descriptors are dealt out to them in turn. 1 to 1024,
    /// default 1.
    /// </summary>
    public int Loops { get; init; } = 1;

    /// <summary>The clock that deadlines count by. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>
    /// Where the poller reports what no caller can be told: a continuation that threw, a listener that is short of descriptors. Without one
    /// a report goes to the standard error stream.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
