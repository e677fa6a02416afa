using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Poller.Net.Tests;

/// <summary>A logger factory whose loggers keep what they are told.</summary>
internal sealed class CapturingLogger : ILoggerFactory, ILogger
{
    private readonly TaskCompletionSource _logged = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _news = new(0);
    private readonly ConcurrentQueue<(LogLevel Level, string Text, Exception? Exception)> _entries = new();

    /// <summary>Whether it throws, as when a provider behind it fails.</summary>
    public bool Fails { get; init; }

    /// <summary>
    /// Whether it also keeps the reports of handlers that blocked. On a busy machine any handler may, so most tests do not look at them.
    /// </summary>
    public bool KeepsBlocked { get; init; }

    /// <summary>Called for each entry.</summary>
    public Action? OnLog { get; set; }

    public Task Logged => _logged.Task;

    /// <summary>Comes back once there is an entry that no earlier call came back for: a report is told on a thread of its own.</summary>
    public async Task NextAsync() => Assert.True(await _news.WaitAsync(Fixture.Patience), "nothing was logged.");

    public IReadOnlyCollection<(LogLevel Level, string Text, Exception? Exception)> Entries => _entries;

    public Exception? Exception => _entries.Select(static e => e.Exception).FirstOrDefault(static e => e is not null);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (eventId.Id is 3 or 4 && !KeepsBlocked) return; // The events of docs/operating.md.
        _entries.Enqueue((logLevel, formatter(state, exception), exception));
        _news.Release();
        _logged.TrySetResult();
        OnLog?.Invoke();
        if (Fails) throw new InvalidOperationException("the logger fails");
    }

    public void Dispose() => _news.Dispose();
}
