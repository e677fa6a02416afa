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
    public async Task<JsonElement> LoopAsync(Predicate<JsonElement> isExpected)
    {
        long start = Environment.TickCount64;
        while (Environment.TickCount64 - start < Waiting.Patience.TotalMilliseconds)
        {
            JsonElement loop = (await NextAsync())!.Value.GetProperty("loops")[0];
            if (isExpected(loop)) return loop;
        }
        throw new TimeoutException("No sample was as it was expected to be.");
    }

    public async ValueTask DisposeAsync()
    {
        await _samples.DisposeAsync();
        await _body.DisposeAsync();
    }
}
