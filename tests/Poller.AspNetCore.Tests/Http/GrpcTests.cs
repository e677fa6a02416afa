using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Grpc.Net.Client;

namespace Poller.AspNetCore.Tests;

/// <summary>gRPC, streaming.</summary>
public abstract class GrpcTests<TTransport>(GrpcTests<TTransport>.GrpcServer shared) : IClassFixture<GrpcTests<TTransport>.GrpcServer>
    where TTransport : ITestTransport
{
    [Fact]
    public async Task Messages_go_both_ways_in_turn()
    {
        using AsyncDuplexStreamingCall<byte[], byte[]> call = shared.Invoker.AsyncDuplexStreamingCall(EchoService.Echo, null, default);
        for (int i = 0; i < 100; i++)
        {
            byte[] message = Pattern.From(i, i).ToArray();
            await call.RequestStream.WriteAsync(message).Within();
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).Within());
            Assert.Equal(message, call.ResponseStream.Current);
        }
        await call.RequestStream.CompleteAsync().Within();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None).Within());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Messages_go_both_ways_at_once()
    {
        const int Count = 2000;
        using AsyncDuplexStreamingCall<byte[], byte[]> call = shared.Invoker.AsyncDuplexStreamingCall(EchoService.Echo, null, default);
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < Count; i++) await call.RequestStream.WriteAsync(Pattern.From(i, 500).ToArray());
            await call.RequestStream.CompleteAsync();
        });
        for (int i = 0; i < Count; i++)
        {
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).Within());
            Assert.Equal(Pattern.From(i, 500), call.ResponseStream.Current.AsMemory());
        }
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None).Within());
        await sending.Within();
    }

    [Fact]
    public async Task A_call_that_the_client_cancels_is_cancelled_at_the_server()
    {
        using AsyncDuplexStreamingCall<byte[], byte[]> call = shared.Invoker.AsyncDuplexStreamingCall(EchoService.Hang, null, default);
        await call.RequestStream.WriteAsync([1]).Within();
        CancellationToken cancelled = await shared.Hanging.Within();
        call.Dispose();
        await cancelled.Fired().Within();
    }

    [Fact]
    public async Task A_deadline_ends_a_call_that_hangs()
    {
        CallOptions options = new(deadline: DateTime.UtcNow.AddMilliseconds(50));
        using AsyncDuplexStreamingCall<byte[], byte[]> call = shared.Invoker.AsyncDuplexStreamingCall(EchoService.Wait, null, options);
        RpcException error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Within());
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
    }

    /// <summary>A server of <see cref="EchoService"/>, and a channel to it.</summary>
    public sealed class GrpcServer : IAsyncLifetime
    {
        private Server _server = null!;
        private GrpcChannel _channel = null!;

        internal CallInvoker Invoker => _channel.CreateCallInvoker();

        internal Task<CancellationToken> Hanging => _server.Services.GetRequiredService<EchoService>().Hanging;

        /// <inheritdoc/>
        public async Task InitializeAsync()
        {
            _server = await Server.StartAsync<TTransport>(
                listen: static endpoint => endpoint.Protocols = HttpProtocols.Http2,
                services: static services => services
                    .AddSingleton<EchoService>()
                    .AddSingleton<IServiceMethodProvider<EchoService>>(static provider => provider.GetRequiredService<EchoService>())
                    .AddRouting()
                    .AddGrpc(),
                app: static app => app.UseRouting().UseEndpoints(static endpoints => endpoints.MapGrpcService<EchoService>()));
            _channel = GrpcChannel.ForAddress(_server.Uri(""));
        }

        /// <inheritdoc/>
        public async Task DisposeAsync()
        {
            _channel.Dispose();
            await _server.DisposeAsync();
        }
    }
}

/// <summary>A gRPC service of raw bytes.</summary>
internal sealed class EchoService : IServiceMethodProvider<EchoService>
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static bytes => bytes, static bytes => bytes);

    private readonly TaskCompletionSource<CancellationToken> _hanging = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Sends each message back.</summary>
    public static Method<byte[], byte[]> Echo { get; } = Duplex("Echo");

    /// <summary>Never answers.</summary>
    public static Method<byte[], byte[]> Hang { get; } = Duplex("Hang");

    /// <summary>Never answers either, and tells nobody that it runs.</summary>
    public static Method<byte[], byte[]> Wait { get; } = Duplex("Wait");

    /// <summary>The token of a call of <see cref="Hang"/>, once there is one.</summary>
    public Task<CancellationToken> Hanging => _hanging.Task;

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<EchoService> context)
    {
        context.AddDuplexStreamingMethod(Echo, [], static async (_, requests, responses, call) =>
        {
            while (await requests.MoveNext(call.CancellationToken)) await responses.WriteAsync(requests.Current);
        });
        context.AddDuplexStreamingMethod(Hang, [], static (service, _, _, call) =>
        {
            service._hanging.SetResult(call.CancellationToken);
            return call.CancellationToken.Fired();
        });
        context.AddDuplexStreamingMethod(Wait, [], static (_, _, _, call) => call.CancellationToken.Fired());
    }

    private static Method<byte[], byte[]> Duplex(string name) => new(MethodType.DuplexStreaming, "tests.Echo", name, Bytes, Bytes);
}
