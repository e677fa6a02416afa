using System.Net;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>What the poller does with errors that no caller can be told.</summary>
[Collection(nameof(Alone))]
public abstract class ReportTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_continuation_that_throws_does_not_end_the_loop(NetpollDispatch dispatch)
    {
        CapturingLogger log = new();
        using Netpoller poller = new(TBackend.Factory, new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpConn client = net.DialTcp((IPEndPoint)listener.LocalEndPoint);
        using TcpConn server = listener.Accept();
        byte[] buffer = new byte[1];

        // The raw continuation of a ValueTask: an async method would catch.
        Then(server.ReadAsync(buffer), () => throw new InvalidDataException("thrown by a continuation"));
        client.Write(One);
        await log.Logged.WaitAsync(Fixture.Patience);
        Assert.IsType<InvalidDataException>(log.Exception);
        await Assert.ThrowsAsync<InvalidDataException>(() => ThrowingHandlerAsync(server, client)).WaitAsync(Fixture.Patience);

        ValueTask<int> read = server.ReadAsync(buffer);
        client.Write(One);
        Assert.Equal(1, await read.AsTask().WaitAsync(Fixture.Patience));

        static async Task ThrowingHandlerAsync(TcpConn server, TcpConn client)
        {
            ValueTask<int> read = server.ReadAsync(new byte[1]);
            client.Write(One);
            await read.ConfigureAwait(false);
            throw new InvalidDataException();
        }
    }

    [Fact]
    public async Task A_logger_that_throws_does_not_end_the_loop()
    {
        using Netpoller poller = new(TBackend.Factory, new NetpollerOptions { LoggerFactory = new CapturingLogger { Fails = true } });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpConn client = net.DialTcp(listener.LocalEndPoint);
        using TcpConn server = listener.Accept();
        Then(server.ReadAsync(new byte[1]), () => throw new InvalidDataException("thrown by a continuation"));
        client.Write(One);
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        client.Write(One);
        Assert.Equal(1, await read.WaitAsync(Fixture.Patience));
    }
}
