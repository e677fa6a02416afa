using System.Diagnostics;
using System.Net.ServerSentEvents;
using System.Text.Json;

namespace WebApp.Tests;

/// <summary>The stream that the page draws.</summary>
internal sealed class LoopStream : IAsyncDisposable
{
    private readonly Stream _body;
    private readonly IAsyncEnumerator<SseItem<string>> _samples;

    private LoopStream(Stream body)
    {
        _body = body;
        _samples = SseParser.Create(body).EnumerateAsync().GetAsyncEnumerator();
    }

    public static async Task<LoopStream> OpenAsync(HttpClient http) =>
        new(await http.GetStreamAsync(new Uri("/loops", UriKind.Relative)).Within("the stream of samples"));

    /// <summary>The next sample; null at the end of the stream.</summary>
    public async Task<JsonElement?> NextAsync() =>
        await _samples.MoveNextAsync().Within("a sample") ? JsonDocument.Parse(_samples.Current.Data).RootElement : null;

    /// <summary>Awaits a sample whose first loop is as it is expected to be.</summary>
    public async Task<JsonElement> LoopAsync(Predicate<JsonElement> isExpected) =>
        await FindAsync(isExpected, new TaskCompletionSource().Task) ?? throw new UnreachableException();

    /// <summary>Whether there is a sample whose first loop is as it is expected to be before a task has ended.</summary>
    public async Task<bool> SeesAsync(Predicate<JsonElement> isExpected, Task end) => await FindAsync(isExpected, end) is not null;

    private async Task<JsonElement?> FindAsync(Predicate<JsonElement> isExpected, Task end)
    {
        long start = Environment.TickCount64;
        JsonElement? loop = null;
        while (Environment.TickCount64 - start < Waiting.Patience.TotalMilliseconds)
        {
            if (end.IsCompleted) return null;
            loop = (await NextAsync())!.Value.GetProperty("loops")[0];
            if (isExpected(loop.Value)) return loop;
        }
        throw new TimeoutException($"No sample was as it was expected to be. The last: {loop}.");
    }

    public async ValueTask DisposeAsync()
    {
        await _samples.DisposeAsync();
        await _body.DisposeAsync();
    }
}
