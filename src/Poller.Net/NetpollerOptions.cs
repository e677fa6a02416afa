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

    /// <summary>
    /// How many handlers of a loop may block or compute at once in adaptive dispatch, each on a thread of the loop. 1 to 32,767, default
    /// 1,024.
    /// </summary>
    /// <remarks>
    /// <para>A handler beyond it waits until one of these threads comes back, or until the .NET thread pool takes it, whichever comes
    /// first. The loop polls on meanwhile. <see cref="NetpollerStatistics.Overflows"/> counts such handlers, and a report tells of them at
    /// most once a minute.</para>
    /// <para>Threads are started as they are needed; one that was not needed for ten seconds ends. A blocked thread takes as much address
    /// space as <c>ulimit -s</c> says, 8 MiB on most systems, and about 35 KiB of memory: 1,000 of them took 35 MiB on Linux x64.</para>
    /// </remarks>
    public int MaxBlockedHandlers { get; init; } = 1024;

    /// <summary>The clock that deadlines count by. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>
    /// Where the poller reports what no caller can be told: a continuation that threw, a listener that is short of descriptors, a loop that
    /// stands still. Without one a report goes to the standard error stream. A thread of its own writes the reports, so a logger may block.
    /// One that throws has its report written to the standard error stream.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
