using BadHttpRequestException = Microsoft.AspNetCore.Http.BadHttpRequestException;

namespace Poller.AspNetCore.Tests;

/// <summary>Clients and handlers that give up, at each stage of a request.</summary>
public abstract class AbortTests<TTransport>(SharedServer<TTransport> shared) : IClassFixture<SharedServer<TTransport>>
    where TTransport : ITestTransport
{
    private readonly Server _server = shared.Server;

    public static TheoryData<string, bool> Stages()
    {
        TheoryData<string, bool> stages = [];
        string[] sent =
        [
            "", "\r\n", "GET / HT", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA: b", "POST / HTTP/1.1\r\nHost: x\r\n\r",
            "GET /unknown HTTP/1.1\r\nHost: x\r\n\r\nGET / H",
        ];
        foreach (string bytes in sent)
        {
            stages.Add(bytes, false);
            stages.Add(bytes, true);
        }
        return stages;
    }

    [Theory, MemberData(nameof(Stages))]
    public async Task A_request_that_is_cut_off_ends_its_connection(string sent, bool reset)
    {
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync(sent);
        await connection.Began;
        if (reset)
        {
            client.Reset();
        }
        else
        {
            client.EndSending();
            Assert.Equal(End.Graceful, (await client.ReadToEndAsync()).End);
        }
        await connection.Ended;
    }

    [Fact]
    public async Task A_handler_that_blocks_its_thread_for_the_rest_of_its_body_gets_it()
    {
        if (!TTransport.MayBlock) return;
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(context =>
        {
            started.SetResult();
            string body = new StreamReader(context.Request.Body).ReadToEndAsync().Result;
            return context.Response.WriteAsync(body);
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
        await started.Task.Within();
        await client.SendAsync("abc");
        Assert.Equal("abc", (await client.ReadResponseAsync()).Body);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task The_requests_token_fires_while_the_handler_blocks_its_thread_for_it(bool hasSentMore)
    {
        if (!TTransport.MayBlock) return;
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<bool> fired = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(context =>
        {
            started.SetResult();
            fired.SetResult(context.RequestAborted.WaitHandle.WaitOne(Waiting.Patience));
            return Task.CompletedTask;
        });
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await started.Task.Within();
        if (hasSentMore) await client.SendAsync(Pattern.Of(10_000));
        client.Socket.Close();
        Assert.True(await fired.Task.Within());
        await connection.Ended;
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task The_requests_token_fires_when_the_client_goes_while_the_app_does_not_read(bool reset)
    {
        (Task started, Task<CancellationToken> token, string path) = MapHanging();
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await started;
        Leave(client, reset);
        Assert.True((await token.Within()).IsCancellationRequested);
        await connection.Ended;
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task The_requests_token_fires_when_the_client_goes_within_a_body_that_the_app_does_not_read(bool reset)
    {
        (Task started, Task<CancellationToken> token, string path) = MapHanging();
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
        await client.SendAsync(Pattern.Of(50_000));
        await started;
        Leave(client, reset);
        Assert.True((await token.Within()).IsCancellationRequested);
        await connection.Ended;
    }

    [Fact]
    public async Task A_reset_within_a_body_fails_the_read()
    {
        (string path, Task started, Task<Exception> failure) = MapReading();
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello");
        await started;
        client.Reset();
        Assert.IsType<ConnectionResetException>(await failure.Within());
        await connection.Ended;
    }

    [Theory, InlineData("Content-Length: 100\r\n\r\nhello"), InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n64\r\nhel")]
    public async Task An_end_within_a_body_fails_the_read(string rest)
    {
        (string path, Task started, Task<Exception> failure) = MapReading();
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\n{rest}");
        await started;
        client.EndSending();
        Assert.Equal(StatusCodes.Status400BadRequest, Assert.IsAssignableFrom<BadHttpRequestException>(await failure.Within()).StatusCode);
        await client.ReadToEndAsync();
        await connection.Ended;
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_client_that_goes_in_the_middle_of_a_response_ends_it(bool reset)
    {
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            while (!context.RequestAborted.IsCancellationRequested) await context.Response.Body.WriteAsync(Pattern.From(0));
            ended.SetResult();
        });
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReadTextAsync(100_000);
        if (reset) client.Reset();
        else client.Dispose();
        await ended.Task.Within();
        await connection.Ended;
    }

    [Fact]
    public async Task A_write_after_the_client_is_gone_does_not_throw()
    {
        TaskCompletionSource<Exception?> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            Task fired = context.RequestAborted.Fired();
            started.SetResult();
            await fired;
            done.SetResult(await Record.ExceptionAsync(async () =>
            {
                for (int i = 0; i < 10; i++) await context.Response.Body.WriteAsync(Pattern.From(0));
            }));
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await started.Task.Within();
        client.Reset();
        Assert.Null(await done.Task.Within());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_handler_that_aborts_resets_the_connection(bool afterPart)
    {
        string path = _server.Map(async context =>
        {
            if (afterPart)
            {
                await context.Response.Body.WriteAsync(Pattern.From(0, 10));
                await context.Response.Body.FlushAsync();
            }
            context.Abort();
            Assert.True(context.RequestAborted.IsCancellationRequested || await FiresAsync(context.RequestAborted));
        });
        using RawClient client = await _server.ConnectAsync();
        ServerConnection connection = _server.Of(client);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(End.Reset, (await client.ReadToEndAsync()).End);
        await connection.Ended;

        static async Task<bool> FiresAsync(CancellationToken token)
        {
            await token.Fired().Within();
            return true;
        }
    }

    [Fact]
    public async Task A_handler_that_fails_within_its_response_ends_the_connection_before_the_bodys_end()
    {
        string path = _server.Map(static async context =>
        {
            context.Response.ContentLength = 100;
            await context.Response.Body.WriteAsync(Pattern.From(0, 10));
            await context.Response.Body.FlushAsync();
            throw new InvalidOperationException("the handler fails");
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        await client.ReadHeadAsync();
        Assert.InRange((await client.ReadToEndAsync()).Count, 0, 10);
        await _server.Of(client).Ended;
    }

    [Fact]
    public async Task A_handler_that_fails_answers_500_and_the_connection_stays()
    {
        string fails = _server.Map(static _ => throw new InvalidOperationException("the handler fails"));
        string works = _server.Map(static context => context.Response.WriteAsync("works"));
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"GET {fails} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal(500, (await client.ReadResponseAsync()).Status);
        await client.SendAsync($"GET {works} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("works", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task A_bad_request_is_answered_and_ends_the_connection()
    {
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync("NONSENSE\r\n\r\n");
        Assert.Equal(400, (await client.ReadResponseAsync()).Status);
        Assert.Equal((End.Graceful, 0), await client.ReadToEndAsync());
        await _server.Of(client).Ended;
    }

    [Fact]
    public async Task A_client_that_asks_to_close_gets_its_response_and_the_end()
    {
        string path = _server.Map(static context => context.Response.WriteAsync("bye"));
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Assert.Equal("bye", (await client.ReadResponseAsync()).Body);
        Assert.Equal((End.Graceful, 0), await client.ReadToEndAsync());
        await _server.Of(client).Ended;
    }

    private static void Leave(RawClient client, bool reset)
    {
        if (reset) client.Reset();
        else client.EndSending();
    }

    private (Task Started, Task<CancellationToken> Token, string Path) MapHanging()
    {
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<CancellationToken> token = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            Task fired = context.RequestAborted.Fired();
            started.SetResult();
            await fired;
            token.SetResult(context.RequestAborted);
        });
        return (started.Task.Within("the handler's start"), token.Task, path);
    }

    private (string Path, Task Started, Task<Exception> Failure) MapReading()
    {
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<Exception> failure = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            await context.Request.Body.ReadExactlyAsync(new byte[1]);
            started.SetResult();
            Exception? error = await Record.ExceptionAsync(() => context.Request.Body.CopyToAsync(Stream.Null));
            failure.SetResult(error ?? new InvalidOperationException("the body was read to its end"));
            if (error is not null) throw error;
        });
        return (path, started.Task.Within("the first byte of the body"), failure.Task);
    }
}
