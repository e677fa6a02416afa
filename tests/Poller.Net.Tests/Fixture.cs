using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>A poller of one test's own, and a net stack over it.</summary>
internal class Fixture : IDisposable
{
    public Fixture(
        INetpollFactory backend,
        NetpollDispatch dispatch = NetpollDispatch.Adaptive,
        int loops = 1,
        TimeProvider? clock = null,
        ISocketApi? api = null,
        INameLookup? names = null,
        ILoggerFactory? log = null,
        int maxBlockedHandlers = 1024)
    {
        NetpollerOptions options = new()
        {
            Dispatch = dispatch,
            Loops = loops,
            TimeProvider = clock ?? TimeProvider.System,
            LoggerFactory = log,
            MaxBlockedHandlers = maxBlockedHandlers,
        };
        Poller = new Netpoller(backend, options);
        Net = new NetStack(Poller, api ?? SystemSocketApi.Current, names);
    }

    // The finalizer would close a connection that a test drops, while the test still uses the other end.
    private readonly ConcurrentBag<TcpConn> _pairs = [];

    /// <summary>Longer than anything takes that is not stuck.</summary>
    public static TimeSpan Patience => TimeSpan.FromMinutes(1);

    public Netpoller Poller { get; }

    public NetStack Net { get; }

    /// <summary>
    /// A round trip through the loop by another pair of its connections: it has looked at its deadlines since. A clock that moves by less
    /// than 1 ms while the loop goes to sleep may not wake it.
    /// </summary>
    public static async Task PassAsync((TcpConn Client, TcpConn Server) other)
    {
        ValueTask<int> read = other.Server.ReadAsync(new byte[1]);
        other.Client.Write([1]);
        Assert.Equal(1, await read.Within());
        await Task.Yield(); // With inline dispatch we are on the loop's thread now, and a test that waits there holds up the loop.
    }

    /// <summary>Two ends of one TCP connection over the loopback.</summary>
    public async Task<(TcpConn Client, TcpConn Server)> PairAsync()
    {
        using TcpConnListener listener = Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        ValueTask<TcpConn> accepting = listener.AcceptTcpAsync();
        TcpConn client = await Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint);
        TcpConn server = await accepting;
        _pairs.Add(client);
        _pairs.Add(server);
        await Task.Yield(); // Leave the loop's thread, where the await may have continued.
        return (client, server);
    }

    public void Dispose()
    {
        Poller.Dispose();
        foreach (TcpConn conn in _pairs) conn.Dispose();
    }
}
