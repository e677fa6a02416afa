namespace Poller.Net.Tests;

/// <summary>A buffer whose owner throws when it is asked for its bytes.</summary>
public sealed class BrokenBufferTests : NetTest<EpollBackend>
{
    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task It_ends_its_operation_with_its_exception_and_gives_the_lock_back(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();

        // The operation is tried at once, behind another one, and after a wait.
        ValueTask<int> atOnce = server.ReadAsync(new BrokenBuffer(spans: 0).Memory);
        Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(() => atOnce.Within()));
        ValueTask<int> first = server.ReadAsync(new byte[1]);
        ValueTask<int> queued = server.ReadAsync(new BrokenBuffer(spans: 0).Memory);
        client.Write([1]);
        Assert.Equal(1, await first.Within());
        Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(() => queued.Within()));
        ValueTask<int> later = server.ReadAsync(new BrokenBuffer(spans: 1).Memory);
        Assert.False(later.IsCompleted);
        client.Write([2]);
        Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(() => later.Within()));

        byte[] buffer = new byte[8];
        Assert.Equal(1, await server.ReadAsync(buffer).Within());
        Assert.Equal(2, buffer[0]);
        ValueTask write = server.WriteAsync(new BrokenBuffer(spans: 0).Memory);
        Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(() => write.Within()));
        await server.WriteAsync(buffer).Within();
    }
}
