using System.Net.Sockets;

namespace Poller.AspNetCore.Tests;

/// <summary>
/// What Kestrel does with slow clients. It looks once a second, so all of them start together, and each test waits for its own.
/// </summary>
public abstract class TimeoutTests<TTransport>(TimeoutTests<TTransport>.SlowClients shared)
    : IClassFixture<TimeoutTests<TTransport>.SlowClients> where TTransport : ITestTransport
{
    [Fact]
    public async Task An_idle_connection_is_ended_after_its_keep_alive_time()
    {
        Assert.Equal((End.Graceful, 0), await shared.Idle);
    }

    [Fact]
    public async Task A_head_that_does_not_come_in_time_is_answered_408()
    {
        Assert.Equal(408, await shared.SlowHead);
    }

    [Fact]
    public async Task A_body_below_the_minimum_rate_is_answered_408()
    {
        Assert.Equal(408, await shared.SlowBody);
    }

    [Fact]
    public async Task A_client_that_reads_below_the_minimum_rate_is_reset()
    {
        (End end, long received) = await shared.SlowReader;
        Assert.InRange(received, 0, SlowClients.ResponseLength - 1);
        Assert.Equal(End.Reset, end);
    }

    [Fact]
    public async Task A_slow_body_above_the_minimum_rate_is_read()
    {
        Assert.Equal("300", await shared.SteadyBody);
    }

    /// <summary>A server with short times, and a client for each of them.</summary>
    public sealed class SlowClients : IAsyncLifetime
    {
        internal const long ResponseLength = 64 * 1024 * 1024;

        private Server _server = null!;

        internal Task<(End, long)> Idle { get; private set; } = null!;

        internal Task<int> SlowHead { get; private set; } = null!;

        internal Task<int> SlowBody { get; private set; } = null!;

        internal Task<(End End, long Count)> SlowReader { get; private set; } = null!;

        internal Task<string> SteadyBody { get; private set; } = null!;

        /// <inheritdoc/>
        public async Task InitializeAsync()
        {
            _server = await Server.StartAsync<TTransport>(static kestrel =>
            {
                kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(2); // It also ends a client whose first request is late.
                kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromMilliseconds(500);
                kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(10, TimeSpan.FromMilliseconds(1001));
                kestrel.Limits.MinResponseDataRate = new MinDataRate(1_000_000, TimeSpan.FromMilliseconds(1001));
            });
            Idle = StayIdleAsync();
            SlowHead = SendHeadSlowlyAsync();
            SlowBody = SendBodySlowlyAsync();
            SlowReader = ReadNothingAsync();
            SteadyBody = SendBodySteadilyAsync();
        }

        /// <inheritdoc/>
        public Task DisposeAsync() => _server.DisposeAsync().AsTask();

        private async Task<(End, long)> StayIdleAsync()
        {
            string path = _server.Map(static context => context.Response.WriteAsync("here"));
            using RawClient client = await _server.ConnectAsync();
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            await client.ReadResponseAsync();
            return await client.ReadToEndAsync();
        }

        // The slow loris: a header more every 50 ms.
        private async Task<int> SendHeadSlowlyAsync()
        {
            using RawClient client = await _server.ConnectAsync();
            await client.SendAsync("GET / HTTP/1.1\r\n");
            Task<RawResponse> answer = client.ReadResponseAsync();
            for (int i = 0; !answer.IsCompleted; i++)
            {
                try
                {
                    await client.SendAsync($"Header{i}: more\r\n");
                }
                catch (SocketException)
                {
                    break; // The server has answered and closed, and the answer is still to be read.
                }
                await Task.WhenAny(answer, Task.Delay(50));
            }
            return (await answer).Status;
        }

        private async Task<int> SendBodySlowlyAsync()
        {
            string path = _server.Map(static context => context.Request.Body.CopyToAsync(Stream.Null));
            using RawClient client = await _server.ConnectAsync();
            await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello");
            return (await client.ReadResponseAsync()).Status;
        }

        private async Task<(End, long)> ReadNothingAsync()
        {
            string path = _server.Map(static context => Pattern.WriteAsync(context.Response.Body, ResponseLength));
            using RawClient client = await _server.ConnectAsync(receiveBuffer: 4096);
            ServerConnection connection = _server.Of(client);
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            await connection.Ended;
            return await client.ReadToEndAsync();
        }

        // 200 bytes a second, for one and a half seconds.
        private async Task<string> SendBodySteadilyAsync()
        {
            string path = _server.Map(static async context =>
            {
                using StreamReader reader = new(context.Request.Body);
                await context.Response.WriteAsync($"{(await reader.ReadToEndAsync()).Length}");
            });
            using RawClient client = await _server.ConnectAsync();
            await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n");
            for (int i = 0; i < 15; i++)
            {
                await client.SendAsync("twenty bytes of text");
                await Task.Delay(100); // The rate is what is tested.
            }
            return (await client.ReadResponseAsync()).Body;
        }
    }
}
