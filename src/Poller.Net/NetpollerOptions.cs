using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;

namespace Poller.Net;

/// <summary>The options of a <see cref="Netpoller"/>. The defaults are right for most programs.</summary>
public sealed record NetpollerOptions
{
    /// <summary>Where continuations run. The default is <see cref="NetpollDispatch.Adaptive"/>.</summary>
    public NetpollDispatch Dispatch { get; init; } = NetpollDispatch.Adaptive;

    /// <summary>
    /// The poller's name in its metrics (<c>poller.name</c>). Null, the default, means the backend's name. Name the pollers of a process
    /// that has several.
    /// </summary>
    public string? Name { get; init; }

    /// <summary>
    /// The number of loops, 1 to 1,024. The default is 1. Each loop has its own backend and its own polling thread. New descriptors go to
    /// the loops in turn.
    /// </summary>
    public int Loops { get; init; } = 1;

    /// <summary>
    /// How many handlers of a loop may block or compute at once in adaptive dispatch, 1 to 32,767. The default is 1,024. Each of them holds
    /// one thread of the loop.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Beyond this number a handler waits until one of these threads is free, or until the .NET thread pool runs it, whichever comes first.
    /// The loop goes on polling meanwhile. <see cref="NetpollerStatistics.Overflows"/> counts such handlers, and the poller reports them at
    /// most once a minute.
    /// </para>
    /// <para>
    /// Threads start when they are needed. A thread that is not needed for ten seconds ends. A blocked thread takes about 35 KiB of memory:
    /// 1,000 of them took 35 MiB on Linux x64. It also takes the address space that <c>ulimit -s</c> sets, 8 MiB on most systems.
    /// </para>
    /// </remarks>
    public int MaxBlockedHandlers { get; init; } = 1024;

    /// <summary>The clock of the deadlines. The default is <see cref="TimeProvider.System"/>; null is refused.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>
    /// Where the poller reports what reaches no caller: a continuation that threw, a handler that blocks its thread, a listener that is
    /// short of descriptors, a loop that stands still. With null, the default, reports go to the standard error stream. One thread writes
    /// all reports and does nothing else, so a logger may block. If a logger throws, its report goes to the standard error stream.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>
    /// Creates the poller's meter, <c>Poller.Net</c>. With null, the default, the poller creates one itself. While nobody listens to it,
    /// it costs nothing.
    /// </summary>
    public IMeterFactory? MeterFactory { get; init; }

    // A container disposes the poller when the process ends. A handler that blocks for good must not keep the process alive. A program that
    // disposes its poller itself can wait for as long as it likes.

    /// <summary>How long <see cref="Netpoller.DisposeAsync"/> waits for the threads. The default is for ever.</summary>
    internal TimeSpan DisposeTimeout { get; init; } = Timeout.InfiniteTimeSpan;
}
