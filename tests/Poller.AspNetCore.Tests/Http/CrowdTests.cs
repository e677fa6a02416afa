using System.Net.Sockets;

namespace Poller.AspNetCore.Tests;

/// <summary>Many clients at once, and many that do nothing good.</summary>
[Collection(ProcessWide.Name)]
public abstract class CrowdTests<TTransport>(SharedServer<TTransport> shared) : IClassFixture<SharedServer<TTransport>>
    where TTransport : ITestTransport
{
    // A thousand take a third of a second, so all but one transport have fewer in the short run.
    private static readonly int Crowd = TestLength.IsLong || typeof(TTransport) == typeof(SocketsTransport) ? 1000 : 200;

    private readonly Server _server = shared.Server;

    [Fact, Trait("Tests", "long")]
    public async Task A_thousand_connections_are_served_at_once()
    {
        string path = _server.Map(static context => context.Response.WriteAsync("here"));
        RawClient[] clients = await Task.WhenAll(Enumerable.Range(0, Crowd).Select(_ => _server.ConnectAsync()));
        for (int round = 0; round < 2; round++)
        {
            await Task.WhenAll(clients.Select(client => client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")));
            RawResponse[] responses = await Task.WhenAll(clients.Select(static client => client.ReadResponseAsync()));
            Assert.All(responses, static response => Assert.Equal("here", response.Body));
        }
        ServerConnection[] connections = [.. clients.Select(_server.Of)];
        foreach (RawClient client in clients) client.Dispose();
        foreach (ServerConnection connection in connections) await connection.Ended;
    }

    [Fact, Trait("Tests", "long")]
    public async Task A_flood_of_connections_that_are_reset_at_once_leaves_the_server_serving()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (int i = 0; i < Crowd / 8; i++)
            {
                RawClient client = await _server.ConnectAsync();
                client.Reset();
            }
        }));
        await AssertServesAsync();
    }

    [Fact]
    public async Task Half_open_clients_and_slow_readers_do_not_keep_others_waiting()
    {
        string endless = _server.Map(static async context =>
        {
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(Pattern.From(0));
                await Task.Yield(); // After the reset a write does nothing, and 20 such loops would take the pool.
            }
        });
        List<RawClient> idlers = [];
        for (int i = 0; i < 20; i++)
        {
            RawClient silent = await _server.ConnectAsync();
            RawClient cutOff = await _server.ConnectAsync();
            await cutOff.SendAsync("GET / HTTP/1.1\r\nHost:");
            RawClient slow = await _server.ConnectAsync(receiveBuffer: 4096);
            await slow.SendAsync($"GET {endless} HTTP/1.1\r\nHost: x\r\n\r\n");
            idlers.AddRange([silent, cutOff, slow]);
        }
        for (int i = 0; i < 10; i++) await AssertServesAsync();
        ServerConnection[] connections = [.. idlers.Select(_server.Of)];
        foreach (RawClient idler in idlers) idler.Reset();
        foreach (ServerConnection connection in connections) await connection.Ended;
    }

    [Fact]
    public async Task Garbage_is_answered_and_ended()
    {
        Random random = new(14);
        for (int i = 0; i < 50; i++)
        {
            byte[] garbage = new byte[random.Next(1, 20_000)];
            random.NextBytes(garbage);
            using RawClient client = await _server.ConnectAsync();
            ServerConnection connection = _server.Of(client);
            try
            {
                await client.SendAsync(garbage);
                client.EndSending();
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
            {
                // The server had seen enough.
            }
            await client.ReadToEndAsync();
            await connection.Ended;
        }
        await AssertServesAsync();
    }

    [Fact]
    public async Task What_is_buffered_for_apps_that_do_not_read_is_bounded()
    {
        const int Clients = 10, Length = 16 * 1024 * 1024;
        TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            await go.Task;
            await context.Response.WriteAsync($"{await Pattern.CheckAsync(context.Request.Body)}");
        });
        long before = GC.GetTotalMemory(true);
        RawClient[] clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => _server.ConnectAsync()));
        long sent = 0;
        Task[] sending = [.. clients.Select(client => Task.Run(async () =>
        {
            await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {Length}\r\n\r\n");
            for (int done = 0; done < Length;)
            {
                int count = await client.Socket.SendAsync(Pattern.From(done, Length - done));
                done += count;
                Interlocked.Add(ref sent, count);
            }
        }))];
        await Waiting.StandsStillAsync(() => Interlocked.Read(ref sent));

        // A mebibyte each in the transport, and not twice. Kestrel and the tests have something too.
        long grown = GC.GetTotalMemory(true) - before;
        Assert.True(grown <= Clients * 1536L * 1024, $"{grown:N0} bytes more are in use"); // Fewer, if others have let go meanwhile.
        go.SetResult();
        foreach (RawClient client in clients)
        {
            Assert.Equal($"{Length}", (await client.ReadResponseAsync()).Body);
            client.Dispose();
        }
        await Task.WhenAll(sending);
    }

    private async Task AssertServesAsync()
    {
        string path = _server.Map(static context => context.Response.WriteAsync("served"));
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("served", (await client.ReadResponseAsync()).Body);
    }
}
