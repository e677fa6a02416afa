using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Poller.Net.Tests;

/// <summary>HttpClient over a net stack: what it gets, and that it fails as without one.</summary>
public abstract class HttpClientTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, InlineData(false), InlineData(true)]
    public async Task A_request_goes_over_a_connection_of_the_stack(bool secure)
    {
        using Fixture fixture = new(names: new FakeNameLookup(IPAddress.Loopback));
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Task serving = ServeAsync(listener, secure);
        Stream? used = null;
        using SocketsHttpHandler handler = new();
        handler.SslOptions.RemoteCertificateValidationCallback = TestCertificate.IsIt;
        Assert.Same(handler, handler.UsePoller(fixture.Net));
        Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect = handler.ConnectCallback!;
        handler.ConnectCallback = async (context, token) => used = await connect(context, token);
        using HttpClient client = new(handler);
        Uri address = new($"{(secure ? "https" : "http")}://poller.test:{listener.LocalEndPoint.Port}/");

        for (int i = 0; i < 3; i++) Assert.Equal("hello", await client.GetStringAsync(address).Within());

        Assert.Equal(listener.LocalEndPoint, Assert.IsType<TcpConn>(used).RemoteEndPoint);
        client.Dispose();
        await serving.Within();
    }

    [Fact]
    public async Task The_addresses_of_a_name_race()
    {
        IPAddress four = IPAddress.Parse("127.0.0.11"); // On 127.0.0.1 another test may have the port.
        using Fixture fixture = new(names: new FakeNameLookup(IPAddress.IPv6Loopback, four));
        using FullListener silent = new(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(four, silent.EndPoint.Port));
        Task serving = ServeAsync(listener, secure: false);
        Dialer dialer = new(fixture.Net) { FallbackDelay = TimeSpan.FromMilliseconds(1) };
        using HttpClient client = new(new SocketsHttpHandler().UsePoller(dialer));
        Assert.Equal("hello", await client.GetStringAsync(new Uri($"http://poller.test:{silent.EndPoint.Port}/")).Within());
        client.Dispose();
        await serving.Within();
    }

    // The names and the addresses with which requests fail, whatever dials.
    [Theory]
    [InlineData("http://name.invalid/", HttpRequestError.NameResolutionError)]
    [InlineData("https://name.invalid:8443/", HttpRequestError.NameResolutionError)]
    [InlineData("http://127.0.0.1:PORT/", HttpRequestError.ConnectionError)]
    [InlineData("https://[::1]:PORT/", HttpRequestError.ConnectionError)]
    [InlineData("http://localhost:PORT/", HttpRequestError.ConnectionError)]
    public async Task A_request_fails_as_it_does_without_a_poller(string address, HttpRequestError error)
    {
        using Socket unused = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        unused.Bind(new IPEndPoint(IPAddress.IPv6Any, 0)); // It does not listen.
        Uri uri = new(address.Replace("PORT", $"{((IPEndPoint)unused.LocalEndPoint!).Port}", StringComparison.Ordinal));
        using Fixture fixture = new();
        HttpRequestException expected = await FailureAsync(new SocketsHttpHandler(), uri);
        HttpRequestException actual = await FailureAsync(new SocketsHttpHandler().UsePoller(fixture.Net), uri);

        Assert.Equal(error, actual.HttpRequestError);
        Assert.Equal(expected.HttpRequestError, actual.HttpRequestError);
        SocketException inner = Assert.IsType<SocketException>(actual.InnerException);
        Assert.Equal(Assert.IsType<SocketException>(expected.InnerException).SocketErrorCode, inner.SocketErrorCode);
        Assert.StartsWith("dial tcp", inner.Message, StringComparison.Ordinal);
        Assert.Contains(uri.IdnHost, actual.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_dialers_time_out_is_a_connection_error()
    {
        using Fixture fixture = new();
        using FullListener silent = new();
        Dialer dialer = new(fixture.Net) { Timeout = TimeSpan.FromMilliseconds(20) };
        HttpRequestException e = await FailureAsync(new SocketsHttpHandler().UsePoller(dialer), new Uri($"http://{silent.EndPoint}/"));
        Assert.Equal(HttpRequestError.ConnectionError, e.HttpRequestError);
        Assert.Equal(SocketError.TimedOut, Assert.IsType<SocketException>(e.InnerException).SocketErrorCode);
    }

    [Fact]
    public async Task A_connect_that_takes_too_long_fails_as_without_a_poller_and_leaves_no_socket()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        using FullListener silent = new();
        Uri uri = new($"http://{silent.EndPoint}/");
        int open = api.OpenCount;
        foreach (SocketsHttpHandler handler in (SocketsHttpHandler[])[new(), new SocketsHttpHandler().UsePoller(fixture.Net)])
        {
            handler.ConnectTimeout = TimeSpan.FromMilliseconds(20);
            using HttpClient client = new(handler);
            TaskCanceledException e = await Assert.ThrowsAsync<TaskCanceledException>(() => client.GetAsync(uri).Within());
            Assert.IsType<TimeoutException>(e.InnerException);
        }
        Assert.Equal(open, api.OpenCount);
    }

    [Fact]
    public async Task A_cancelled_request_ends_at_once_while_its_dial_waits()
    {
        using Fixture fixture = new();
        using FullListener silent = new();
        using HttpClient client = new(new SocketsHttpHandler().UsePoller(fixture.Net));
        using CancellationTokenSource cancel = new();
        Task<HttpResponseMessage> request = client.GetAsync(new Uri($"http://{silent.EndPoint}/"), cancel.Token);
        Assert.False(request.IsCompleted);
        await cancel.CancelAsync();
        TaskCanceledException e = await Assert.ThrowsAsync<TaskCanceledException>(() => request.Within());
        Assert.Equal(cancel.Token, e.CancellationToken);
    }

    [Fact]
    public async Task After_the_end_of_the_poller_a_request_fails()
    {
        using Fixture fixture = new();
        SocketsHttpHandler handler = new SocketsHttpHandler().UsePoller(fixture.Net);
        fixture.Poller.Dispose();
        HttpRequestException e = await FailureAsync(handler, new Uri("http://127.0.0.1:1/"));
        Assert.Equal(HttpRequestError.ConnectionError, e.HttpRequestError);
        Assert.IsType<ObjectDisposedException>(e.InnerException);
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        using SocketsHttpHandler handler = new();
        Assert.Throws<ArgumentNullException>("handler", () => ((SocketsHttpHandler)null!).UsePoller((Dialer)null!));
        Assert.Throws<ArgumentNullException>("dialer", () => handler.UsePoller((Dialer)null!));
        Assert.Throws<ArgumentNullException>("stack", () => handler.UsePoller((NetStack)null!));
    }

    private static async Task<HttpRequestException> FailureAsync(SocketsHttpHandler handler, Uri uri)
    {
        using HttpClient client = new(handler);
        return await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(uri).Within());
    }

    // Answers the requests of one connection, until the client ends it.
    private static async Task ServeAsync(TcpConnListener listener, bool secure)
    {
        using TcpConn conn = await listener.AcceptTcpAsync();
        await using Stream stream = secure ? new SslStream(conn) : conn;
        if (stream is SslStream ssl) await ssl.AuthenticateAsServerAsync(TestCertificate.Value);
        using StreamReader reader = new(stream, Encoding.ASCII);
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.Length > 0) continue;
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"u8.ToArray());
        }
    }
}
