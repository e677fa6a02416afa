using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Poller.AspNetCore.Tests;

/// <summary>HTTPS, with client certificates.</summary>
public abstract class TlsTests<TTransport>(TlsTests<TTransport>.TlsServer shared) : IClassFixture<TlsTests<TTransport>.TlsServer>
    where TTransport : ITestTransport
{
    private readonly Server _server = shared.Server;

    [Theory, InlineData("1.1"), InlineData("2.0")]
    public async Task A_body_comes_back_over_tls(string version)
    {
        const int Length = 2 * 1024 * 1024;
        string path = _server.Map(static async context =>
        {
            long received = await Pattern.CheckAsync(context.Request.Body);
            context.Response.Headers["protocol"] = context.Request.Protocol;
            await Pattern.WriteAsync(context.Response.Body, received);
        });
        using HttpClient http = NewClient(Certificates.Client);
        using HttpRequestMessage request = new(HttpMethod.Post, path)
        {
            Content = new PatternContent(Length),
            Version = new Version(version),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).Within();
        Assert.Equal(version == "2.0" ? "HTTP/2" : "HTTP/1.1", response.Headers.GetValues("protocol").Single());
        Assert.Equal(Length, await Pattern.CheckAsync(await response.Content.ReadAsStreamAsync()).Within());
    }

    [Fact]
    public async Task The_app_sees_the_clients_certificate()
    {
        string path = _server.Map(static async context =>
            await context.Response.WriteAsync((await context.Connection.GetClientCertificateAsync())!.Subject));
        using HttpClient http = NewClient(Certificates.Client);
        Assert.Equal(Certificates.Client.Subject, await http.GetStringAsync(_server.Uri(path)).Within());
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused()
    {
        using HttpClient http = NewClient(null);
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(_server.Uri("/")).Within());
    }

    [Fact]
    public async Task A_client_that_does_not_speak_tls_is_ended()
    {
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync(new byte[1000]);
        await client.ReadToEndAsync();
        await _server.Of(client).Ended;
    }

    [Fact]
    public async Task A_client_that_ends_within_the_handshake_is_let_go()
    {
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync(new byte[] { 22, 3, 1, 2, 0, 1 }); // The first bytes of a ClientHello.
        client.EndSending();
        Assert.Equal(End.Graceful, (await client.ReadToEndAsync()).End);
        await _server.Of(client).Ended;
    }

    [Fact]
    public async Task A_client_that_is_gone_after_the_handshake_aborts_its_request()
    {
        TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            Task fired = context.RequestAborted.Fired();
            started.SetResult();
            await fired;
            aborted.SetResult();
        });
        using RawClient client = await _server.ConnectAsync();
        await using SslStream tls = new(new NetworkStream(client.Socket), false, Certificates.IsServer);
        await tls.AuthenticateAsClientAsync("localhost", [Certificates.Client], false).Within();
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        await started.Task.Within();
        client.Reset();
        await aborted.Task.Within();
    }

    private HttpClient NewClient(X509Certificate2? certificate) => _server.NewHttpClient(handler =>
    {
        if (certificate is not null) handler.SslOptions.ClientCertificates = [certificate];
    });

    /// <summary>A server that asks for a client's certificate, and takes <see cref="Certificates.Client"/> alone.</summary>
    public sealed class TlsServer : IAsyncLifetime
    {
        internal Server Server { get; private set; } = null!;

        /// <inheritdoc/>
        public async Task InitializeAsync() => Server = await Server.StartAsync<TTransport>(
            scheme: "https",
            listen: static endpoint => endpoint.UseHttps(new HttpsConnectionAdapterOptions
            {
                ServerCertificate = Certificates.Server,
                ClientCertificateMode = ClientCertificateMode.RequireCertificate,
                ClientCertificateValidation = static (certificate, _, _) => certificate.Thumbprint == Certificates.Client.Thumbprint,
            }));

        /// <inheritdoc/>
        public Task DisposeAsync() => Server.DisposeAsync().AsTask();
    }
}
