using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;

namespace Poller.Net.Tests;

/// <summary>A connection is a Stream, and what is made for streams takes it.</summary>
public abstract class StreamTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task It_says_what_it_can()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        Assert.True(conn.CanRead && conn.CanWrite && conn.CanTimeout);
        Assert.False(conn.CanSeek);
        Assert.Equal((Timeout.Infinite, Timeout.Infinite), (conn.ReadTimeout, conn.WriteTimeout));
        conn.Dispose();
        Assert.False(conn.CanRead || conn.CanWrite || conn.CanSeek);
    }

    [Fact]
    public async Task What_needs_a_position_is_not_supported()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        Assert.Throws<NotSupportedException>(() => conn.Length);
        Assert.Throws<NotSupportedException>(() => conn.Position);
        Assert.Throws<NotSupportedException>(() => conn.Position = 1);
        Assert.Throws<NotSupportedException>(() => conn.Seek(0, SeekOrigin.Begin));
        Assert.Throws<NotSupportedException>(() => conn.SetLength(0));
    }

    [Fact]
    public async Task A_flush_has_nothing_to_do()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        conn.Flush();
        await conn.FlushAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => conn.FlushAsync(new CancellationToken(true)));
    }

    [Theory]
    [InlineData(0, 5, "count")]
    [InlineData(5, 0, "count")]
    [InlineData(2, 3, "count")]
    [InlineData(-1, 1, "offset")]
    [InlineData(0, -1, "count")]
    [InlineData(int.MaxValue, int.MaxValue, "count")]
    public async Task A_range_that_is_not_in_the_buffer_is_refused(int offset, int count, string name)
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        byte[] buffer = new byte[4];
        Check(Assert.Throws<ArgumentOutOfRangeException>(() => conn.Read(buffer, offset, count)));
        Check(Assert.Throws<ArgumentOutOfRangeException>(() => conn.Write(buffer, offset, count)));
        Check(await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => conn.ReadAsync(buffer, offset, count, CancellationToken.None)));
        Check(await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => conn.WriteAsync(buffer, offset, count, CancellationToken.None)));
        Check(Assert.Throws<ArgumentOutOfRangeException>(() => conn.BeginRead(buffer, offset, count, null, null)));
        Check(Assert.Throws<ArgumentOutOfRangeException>(() => conn.BeginWrite(buffer, offset, count, null, null)));

        void Check(ArgumentOutOfRangeException e) => Assert.Equal(name, e.ParamName);
    }

    [Fact]
    public async Task No_buffer_is_refused()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        Assert.Throws<ArgumentNullException>("buffer", () => conn.Read(null!, 0, 0));
        Assert.Throws<ArgumentNullException>("buffer", () => conn.Write(null!, 0, 0));
        await Assert.ThrowsAsync<ArgumentNullException>("buffer", () => conn.ReadAsync(null!, 0, 0, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentNullException>("buffer", () => conn.WriteAsync(null!, 0, 0, CancellationToken.None));
        Assert.Throws<ArgumentNullException>("asyncResult", () => conn.EndRead(null!));
        Assert.Throws<ArgumentNullException>("asyncResult", () => conn.EndWrite(null!));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Arrays_are_read_and_written_in_their_range(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[4];
        client.Write([1, 2, 3, 4], 1, 2);
        Assert.Equal(2, server.Read(buffer, 1, 3));
        Assert.Equal([0, 2, 3, 0], buffer);
        await client.WriteAsync([5, 6, 7, 8], 2, 1, CancellationToken.None).Within();
        Assert.Equal(1, await server.ReadAsync(buffer, 3, 1, CancellationToken.None).Within());
        Assert.Equal([0, 2, 3, 7], buffer);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Single_bytes_go_through_and_the_end_is_minus_1(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        client.WriteByte(0);
        client.WriteByte(255);
        Assert.Equal(0, server.ReadByte());
        Assert.Equal(255, server.ReadByte());
        client.CloseWrite();
        Assert.Equal(-1, server.ReadByte());
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Begin_and_end_bracket_an_operation(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[4];
        TaskCompletionSource<IAsyncResult> called = new(TaskCreationOptions.RunContinuationsAsynchronously);
        object state = new();
        IAsyncResult reading = server.BeginRead(buffer, 0, 4, called.SetResult, state);
        Assert.False(reading.IsCompleted || reading.CompletedSynchronously);
        Assert.Same(state, reading.AsyncState);
        client.EndWrite(client.BeginWrite([1, 2, 3], 0, 3, null, null));
        Assert.Same(reading, await called.Task.Within());
        Assert.Equal(3, server.EndRead(reading));
        Assert.Equal([1, 2, 3, 0], buffer);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task It_is_copied_to_its_end(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] sent = RandomNumberGenerator.GetBytes(1 << 20);
        MemoryStream received = new();
        Task copying = Operation.Run(blocking, async () =>
        {
            if (blocking) server.CopyTo(received);
            else await server.CopyToAsync(received).ConfigureAwait(false);
        });
        await Operation.Run(blocking, async () =>
        {
            using MemoryStream source = new(sent);
            if (blocking) source.CopyTo(client);
            else await source.CopyToAsync(client).ConfigureAwait(false);
            client.CloseWrite();
        }).Within();
        await copying.Within();
        Assert.True(received.ToArray().AsSpan().SequenceEqual(sent));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_reader_of_text_reads_it_line_by_line(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using StreamReader reader = new(server, Encoding.UTF8);
        using StreamWriter writer = new(client, new UTF8Encoding(false)) { AutoFlush = true };
        Task<string?> waiting = reader.ReadLineAsync();
        await writer.WriteAsync("eins\nzwölf\n").Within();
        Assert.Equal("eins", await waiting.Within());
        Assert.Equal("zwölf", await reader.ReadLineAsync().Within());
        client.CloseWrite();
        Assert.Null(await reader.ReadLineAsync().Within());
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive, false)]
    [InlineData(NetpollDispatch.Adaptive, true)]
    [InlineData(NetpollDispatch.Inline, true)]
    [InlineData(NetpollDispatch.ThreadPool, true)]
    public async Task A_pipe_reads_it(NetpollDispatch dispatch, bool zeroByteReads)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] sent = RandomNumberGenerator.GetBytes(300_000);
        PipeReader reader = PipeReader.Create(server, new StreamPipeReaderOptions(useZeroByteReads: zeroByteReads));
        Task writing = Task.Run(async () =>
        {
            PipeWriter writer = PipeWriter.Create(client);
            for (int i = 0; i < sent.Length; i += 1000) await writer.WriteAsync(sent.AsMemory(i, 1000)).ConfigureAwait(false);
            await writer.CompleteAsync().ConfigureAwait(false); // Disposes the connection.
        });
        ReadOnlySequence<byte> received = (await reader.ReadAtLeastAsync(sent.Length).AsTask().Within()).Buffer;
        Assert.True(received.ToArray().AsSpan().SequenceEqual(sent));
        reader.AdvanceTo(received.End);
        Assert.True((await reader.ReadAsync().AsTask().Within()).IsCompleted);
        await writing.Within();
        await reader.CompleteAsync();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Tls_runs_over_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using SslStream tlsClient = new(client);
        using SslStream tlsServer = new(server);
        SslClientAuthenticationOptions clientOptions = new()
        {
            TargetHost = "poller.test",
            RemoteCertificateValidationCallback = TestCertificate.IsIt,
        };
        SslServerAuthenticationOptions serverOptions = new() { ServerCertificate = TestCertificate.Value };
        await Task.WhenAll(
            Operation.Run(blocking, async () =>
            {
                if (blocking) tlsClient.AuthenticateAsClient(clientOptions);
                else await tlsClient.AuthenticateAsClientAsync(clientOptions).ConfigureAwait(false);
            }),
            Operation.Run(blocking, async () =>
            {
                if (blocking) tlsServer.AuthenticateAsServer(serverOptions);
                else await tlsServer.AuthenticateAsServerAsync(serverOptions).ConfigureAwait(false);
            })).Within();

        byte[] sent = RandomNumberGenerator.GetBytes(200_000);
        byte[] received = new byte[sent.Length];
        await Task.WhenAll(
            Operation.Run(blocking, async () =>
            {
                if (blocking) tlsClient.Write(sent);
                else await tlsClient.WriteAsync(sent).ConfigureAwait(false);
                await tlsClient.ShutdownAsync().ConfigureAwait(false);
            }),
            Operation.Run(blocking, async () =>
            {
                if (blocking) tlsServer.ReadExactly(received);
                else await tlsServer.ReadExactlyAsync(received).ConfigureAwait(false);
                Assert.Equal(0, blocking ? tlsServer.Read(new byte[1]) : await tlsServer.ReadAsync(new byte[1]).ConfigureAwait(false));
            })).Within();
        Assert.True(received.AsSpan().SequenceEqual(sent));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_failed_handshake_is_an_error_of_its_own_connection(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using SslStream tls = new(server);
        Task handshake = tls.AuthenticateAsServerAsync(TestCertificate.Value);
        await client.WriteAsync("this is not TLS, and will not be\r\n"u8.ToArray()).Within();
        await Assert.ThrowsAsync<AuthenticationException>(() => handshake.Within());
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task HttpClient_takes_it_for_its_connection(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Task serving = Task.Run(async () =>
        {
            using TcpConn conn = await listener.AcceptTcpAsync().ConfigureAwait(false);
            using StreamReader reader = new(conn, Encoding.ASCII, leaveOpen: true);
            for (int i = 0; i < 3; i++)
            {
                string request = (await reader.ReadLineAsync().ConfigureAwait(false))!;
                while (await reader.ReadLineAsync().ConfigureAwait(false) is { Length: > 0 }) { }
                string path = request.Split(' ')[1];
                string response = $"HTTP/1.1 200 OK\r\nContent-Length: {path.Length}\r\n\r\n{path}";
                await conn.WriteAsync(Encoding.ASCII.GetBytes(response)).ConfigureAwait(false);
            }
        });
        using HttpClient http = new(new SocketsHttpHandler
        {
            ConnectCallback = async (context, token) =>
                await fixture.Net.DialAsync("tcp", $"127.0.0.1:{context.DnsEndPoint.Port}", token).ConfigureAwait(false),
        });
        for (int i = 0; i < 3; i++)
        {
            Uri uri = new($"http://poller.test:{((IPEndPoint)listener.LocalEndPoint).Port}/{i}");
            Assert.Equal($"/{i}", await http.GetStringAsync(uri).Within());
        }
        await serving.Within();
    }

    [Fact]
    public async Task It_talks_to_System_Net_Sockets()
    {
        using Fixture fixture = new();
        using TcpListener theirs = new(IPAddress.Loopback, 0);
        theirs.Start();
        using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)theirs.LocalEndpoint).Within();
        using Socket server = await theirs.AcceptSocketAsync().Within();
        byte[] buffer = new byte[4];
        await server.SendAsync("ping"u8.ToArray()).Within();
        await client.ReadExactlyAsync(buffer).AsTask().Within();
        Assert.Equal("ping"u8, buffer);
        await client.WriteAsync("pong"u8.ToArray()).Within();
        Assert.Equal(4, await server.ReceiveAsync(buffer).Within());
        Assert.Equal("pong"u8, buffer);
    }
}
