using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Poller.DependencyInjection.Tests;

/// <summary>Keeps what is logged, as <c>Category: text</c>.</summary>
internal sealed class Log : ILoggerProvider, ISupportExternalScope
{
    private readonly ConcurrentQueue<LogEntry> _entries = new();
    private IExternalScopeProvider _scopes = new LoggerExternalScopeProvider();

    public IReadOnlyCollection<string> Lines => [.. Entries.Select(static entry => entry.Line)];

    public IReadOnlyCollection<LogEntry> Entries => _entries;

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _scopes = scopeProvider;

    public void Dispose() { }

    private sealed class Logger(Log log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => log._scopes.Push(state);

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Dictionary<string, object?> scope = [];
            log._scopes.ForEachScope(
                static (values, scope) =>
                {
                    if (values is not IEnumerable<KeyValuePair<string, object?>> pairs) return;
                    foreach ((string key, object? value) in pairs) scope[key] = value;
                },
                scope);
            log._entries.Enqueue(new LogEntry(logLevel, $"{category}: {formatter(state, exception)}", exception, scope));
        }
    }
}

/// <summary>What was logged, and the values of the scopes around it.</summary>
internal sealed record LogEntry(LogLevel Level, string Line, Exception? Exception, IReadOnlyDictionary<string, object?> Scope);
