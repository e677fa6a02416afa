using System.IO.Pipelines;

namespace Poller.AspNetCore.Tests;

/// <summary>Tests that each have a connection of their own, accepted by a listener which they share.</summary>
public abstract class PairTests<TTransport>(SharedTransport<TTransport> shared) : IClassFixture<SharedTransport<TTransport>>, IAsyncLifetime
    where TTransport : ITestTransport
{
    private protected RawClient Client { get; private set; } = null!;

    private protected ConnectionContext Connection { get; private set; } = null!;

    private protected PipeReader Input => Connection.Transport.Input;

    private protected PipeWriter Output => Connection.Transport.Output;

    public async Task InitializeAsync() => (Client, Connection) = await shared.Transport.PairAsync();

    public async Task DisposeAsync()
    {
        await Connection.DisposeAsync().Within();
        Client.Dispose();
    }
}
