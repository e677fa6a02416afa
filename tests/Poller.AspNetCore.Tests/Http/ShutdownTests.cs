namespace Poller.AspNetCore.Tests;

/// <summary>What a host that stops does with its connections.</summary>
public abstract class ShutdownTests<TTransport> where TTransport : ITestTransport
{
    [Fact]
    public async Task A_request_in_flight_is_answered_before_the_host_has_stopped()
    {
        await using Server server = await Server.StartAsync<TTransport>();
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = server.Map(async context =>
        {
            await context.Response.WriteAsync("this comes ");
            started.SetResult();
            await go.Task;
            await context.Response.WriteAsync("and this too");
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await started.Task.Within();

        Task stopping = server.StopAsync();
        await AwaitRefusalAsync(server);
        Assert.False(stopping.IsCompleted);
        go.SetResult();
        Assert.Equal("this comes and this too", (await client.ReadResponseAsync()).Body);
        Assert.Equal((End.Graceful, 0), await client.ReadToEndAsync());
        await stopping;
    }

    [Fact]
    public async Task A_request_that_does_not_end_in_time_is_aborted()
    {
        await using Server server = await Server.StartAsync<TTransport>();
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = server.Map(async context =>
        {
            Task fired = context.RequestAborted.Fired();
            started.SetResult();
            await fired;
            aborted.SetResult();
        });
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await started.Task.Within();
        await server.StopAsync(TimeSpan.FromMilliseconds(50));
        await aborted.Task.Within();
        await client.ReadToEndAsync();
        await server.Of(client).Ended;
    }

    [Fact]
    public async Task Idle_connections_are_ended_at_once()
    {
        await using Server server = await Server.StartAsync<TTransport>();
        string path = server.Map(static context => context.Response.WriteAsync("here"));
        using RawClient kept = await server.ConnectAsync();
        await kept.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await kept.ReadResponseAsync();
        using RawClient silent = await server.ConnectAsync();
        await server.Of(silent).Began;
        await server.StopAsync();
        Assert.Equal((End.Graceful, 0), await kept.ReadToEndAsync());
        Assert.Equal((End.Graceful, 0), await silent.ReadToEndAsync());
    }

    [Fact]
    public async Task A_client_that_reads_nothing_does_not_keep_the_host_from_stopping()
    {
        await using Server server = await Server.StartAsync<TTransport>();
        TaskCompletionSource stuck = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = server.Map(async context =>
        {
            while (!context.RequestAborted.IsCancellationRequested)
            {
                Task writing = context.Response.Body.WriteAsync(Pattern.From(0)).AsTask();
                if (!writing.IsCompleted) stuck.TrySetResult();
                await writing;
            }
        });
        using RawClient client = await server.ConnectAsync(receiveBuffer: 4096);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await stuck.Task.Within();
        await server.StopAsync(TimeSpan.FromMilliseconds(50));
        await server.Of(client).Ended;
    }

    [Fact]
    public async Task A_host_starts_again_on_the_port_that_another_has_left()
    {
        await using Server first = await Server.StartAsync<TTransport>();
        using RawClient client = await first.ConnectAsync();
        await first.Of(client).Began;
        int port = first.EndPoint.Port;
        await first.StopAsync();
        await using Server second = await Server.StartAsync<TTransport>(kestrel => kestrel.ListenLocalhost(port), bindsItself: false);
        string path = second.Map(static context => context.Response.WriteAsync("again"));
        using HttpClient http = second.NewHttpClient();
        Assert.Equal("again", await http.GetStringAsync(second.Uri(path)).Within());
    }

    /// <summary>Comes back once the server refuses connections.</summary>
    private static async Task AwaitRefusalAsync(Server server)
    {
        long start = Environment.TickCount64;
        while (Environment.TickCount64 - start < Waiting.Patience.TotalMilliseconds)
        {
            try
            {
                using RawClient client = await server.ConnectAsync();
            }
            catch (System.Net.Sockets.SocketException)
            {
                return;
            }
            await Task.Yield();
        }
        Assert.Fail("the server that stops still takes connections.");
    }
}
