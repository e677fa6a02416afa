using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Poller.Torture;

/// <summary>Takes what the poller reports: it counts what is expected, and keeps what is not.</summary>
internal sealed class ReportLog(Figures figures) : ILoggerFactory, ILogger
{
    // The events of docs/operating.md.
    private const int BlockedHandler = 3;
    private const int HandlerStillBlocks = 4;

    /// <summary>The reports that nobody expected.</summary>
    public ConcurrentQueue<string> Unexpected { get; } = new();

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        string text = formatter(state, exception);
        if (eventId.Id is BlockedHandler or HandlerStillBlocks)
        {
            figures.Add(Figure.BlockedHandlers); // Some block on purpose, and on a busy machine any may wait for a processor.
            return;
        }
        if (exception is not null) Unexpected.Enqueue($"{text}: {exception}");
        else if (Says("New connections wait")) figures.Add(Figure.Pauses);
        else if (Says("MaxBlockedHandlers")) figures.Add(Figure.FullHandlers);
        else if (Says("has stood still")) figures.Add(Figure.StandStills); // A machine that has too much to do holds a loop up.
        else Unexpected.Enqueue(text);

        bool Says(string part) => text.Contains(part, StringComparison.Ordinal);
    }

    public void Dispose() { }
}
