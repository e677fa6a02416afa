using System.Collections.Concurrent;

namespace Poller.AspNetCore.Tests;

/// <summary>Keeps what is logged, at every level.</summary>
internal sealed class Log : ILoggerProvider
{
    private readonly ConcurrentQueue<Entry> _entries = new();
    private readonly ConcurrentDictionary<int, TaskCompletionSource> _transportEvents = new();

    public IEnumerable<Entry> Entries => _entries;

    /// <summary>What the transport said: the sockets transport's category, or ours.</summary>
    public IEnumerable<Entry> OfTransport => _entries.Where(static entry => IsTransport(entry.Category));

    /// <summary>Comes back once the transport has logged an event, or at once if it has.</summary>
    public Task TransportLogged(int eventId) => SourceOf(eventId).Task.Within($"the transport's log event {eventId}");

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
    }

    private static bool IsTransport(string category) =>
        category.StartsWith("Microsoft.AspNetCore.Server.Kestrel.Transport", StringComparison.Ordinal)
        || category.StartsWith("Poller.AspNetCore", StringComparison.Ordinal);

    private TaskCompletionSource SourceOf(int eventId) =>
        _transportEvents.GetOrAdd(eventId, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously));

    internal sealed record Entry(string Category, LogLevel Level, int EventId, string Text, Exception? Exception);

    private sealed class Logger(Log log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            log._entries.Enqueue(new Entry(category, logLevel, eventId.Id, formatter(state, exception), exception));
            if (IsTransport(category)) log.SourceOf(eventId.Id).TrySetResult();
        }
    }
}
