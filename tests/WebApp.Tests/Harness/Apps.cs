using System.Collections.Concurrent;

namespace WebApp.Tests;

/// <summary>One app for each transport, which the tests of a class share.</summary>
public sealed class Apps : IAsyncLifetime
{
    private readonly ConcurrentDictionary<string, Lazy<Task<AppProcess>>> _apps = new();

    /// <inheritdoc/>
    public Task InitializeAsync() => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task DisposeAsync()
    {
        foreach (Lazy<Task<AppProcess>> app in _apps.Values) (await app.Value).Dispose();
    }

    internal Task<AppProcess> OverAsync(string transport) =>
        _apps.GetOrAdd(transport, static transport => new(() => AppProcess.StartAsync("--transport", transport))).Value;
}
