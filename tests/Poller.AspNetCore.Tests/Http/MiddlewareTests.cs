using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Poller.AspNetCore.Tests;

/// <summary>Connection middleware and connection handlers over Kestrel.</summary>
public abstract class MiddlewareTests<TTransport> where TTransport : ITestTransport
{
    [Fact]
    public async Task A_connection_handler_speaks_its_own_protocol()
    {
        await using Server server = await Server.StartAsync<TTransport>(listen: static endpoint => endpoint.Run(EchoAsync));
        using RawClient client = await server.ConnectAsync();
        for (int i = 0; i < 10; i++)
        {
            await client.SendAsync($"line {i}");
            Assert.Equal($"line {i}", await client.ReadTextAsync(6));
        }
        client.EndSending();
        Assert.Equal((End.Graceful, 0), await client.ReadToEndAsync());
    }

    [Fact]
    public async Task Middleware_may_replace_the_transport()
    {
        await using Server server = await Server.StartAsync<TTransport>(listen: static endpoint => endpoint.Use(next => async connection =>
        {
            IDuplexPipe transport = connection.Transport;
            await using SwappedCaseStream input = new(transport.Input.AsStream(leaveOpen: true));
            connection.Transport = new Duplex(PipeReader.Create(input), transport.Output);
            try
            {
                await next(connection);
            }
            finally
            {
                connection.Transport = transport;
            }
        }));
        string path = server.Map(static context => context.Response.WriteAsync("swapped"));
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync($"get {path} http/1.1\r\nhOST: X\r\n\r\n");
        Assert.Equal("swapped", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task Middleware_that_returns_without_reading_ends_the_connection()
    {
        await using Server server = await Server.StartAsync<TTransport>(
            listen: static endpoint => endpoint.Run(static _ => Task.CompletedTask));
        using RawClient client = await server.ConnectAsync();
        Assert.Equal((End.Graceful, 0), await client.ReadToEndAsync());
    }

    [Fact]
    public async Task Middleware_that_fails_ends_the_connection_and_the_server_goes_on()
    {
        await using Server server = await Server.StartAsync<TTransport>(listen: static endpoint => endpoint.Use(next => async connection =>
        {
            ReadResult read = await connection.Transport.Input.ReadAsync();
            bool fails = read.Buffer.FirstSpan[0] == '!';
            connection.Transport.Input.AdvanceTo(read.Buffer.Start);
            if (fails) throw new InvalidOperationException("the middleware fails");
            await next(connection);
        }));
        string path = server.Map(static context => context.Response.WriteAsync("goes on"));
        using RawClient broken = await server.ConnectAsync();
        await broken.SendAsync("!");
        await broken.ReadToEndAsync();
        using RawClient client = await server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("goes on", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task What_middleware_puts_into_the_items_and_the_id_is_seen_by_the_app()
    {
        await using Server server = await Server.StartAsync<TTransport>(listen: static endpoint => endpoint.Use(next => connection =>
        {
            connection.Items["key"] = "value";
            connection.ConnectionId = "an id";
            return next(connection);
        }));
        string path = server.Map(static context => context.Response.WriteAsync(
            $"{context.Features.GetRequiredFeature<IConnectionItemsFeature>().Items["key"]} {context.Connection.Id}"));
        using HttpClient http = server.NewHttpClient();
        Assert.Equal("value an id", await http.GetStringAsync(server.Uri(path)).Within());
    }

    private static async Task EchoAsync(ConnectionContext connection)
    {
        while (true)
        {
            ReadResult read = await connection.Transport.Input.ReadAsync();
            foreach (ReadOnlyMemory<byte> part in read.Buffer) await connection.Transport.Output.WriteAsync(part);
            connection.Transport.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return;
        }
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    /// <summary>Reads with upper and lower case changed.</summary>
    private sealed class SwappedCaseStream(Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int count = await inner.ReadAsync(buffer, cancellationToken);
            foreach (ref byte b in buffer.Span[..count]) b = char.IsAsciiLetter((char)b) ? (byte)(b ^ 0x20) : b;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
