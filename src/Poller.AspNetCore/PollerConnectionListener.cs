using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>Accepts connections for whoever bound it.</summary>
internal sealed class PollerConnectionListener : IConnectionListener
{
    private readonly ConnListener _listener;
    private readonly AdoptedState? _borrowed;
    private readonly PollerTransportOptions _options;
    private readonly MemoryPool<byte> _pool;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();

    // Guarded by the lock: null until the unbind.
    private Task? _unbound;

    /// <summary>
    /// Takes ownership of a listener and a pool. A borrowed socket goes back to its owner as it was: <paramref name="borrowed"/> says how.
    /// </summary>
    public PollerConnectionListener(
        ConnListener listener, AdoptedState? borrowed, PollerTransportOptions options, MemoryPool<byte> pool, ILogger logger)
    {
        _listener = listener;
        _borrowed = borrowed;
        _options = options;
        _pool = pool;
        _logger = logger;
        EndPoint = listener.LocalEndPoint;
    }

    public EndPoint EndPoint { get; }

    /// <summary>The next connection; null once the listener is unbound, also while it waits.</summary>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Conn conn;
            try
            {
                conn = await _listener.AcceptAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is ObjectDisposedException or NetOpException { IsClosed: true })
            {
                return null;
            }
            try
            {
                PollerConnection connection = PollerConnection.Start(conn, _options, _pool, _logger);
                if (EndPoint.AddressFamily == AddressFamily.InterNetworkV6)
                {
                    connection.LocalEndPoint = Mapped(connection.LocalEndPoint);
                    connection.RemoteEndPoint = Mapped(connection.RemoteEndPoint);
                }
                return connection;
            }
            catch (NetOpException)
            {
                // The connection died in the queue.
                await conn.DisposeAsync().ConfigureAwait(false);
                if (_logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionReset(_logger, "(null)");
            }
        }
    }

    // It ignores the token: a Kestrel that is disposed while it serves cancels that before the call, and still needs the unbind.
    public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => new(Unbind());

    public async ValueTask DisposeAsync()
    {
        await Unbind().ConfigureAwait(false);
        _pool.Dispose();
    }

    // The net package tells the IPv4 address, as Go does. Apps expect the IPv4-mapped address from a dual-stack listener, as the sockets
    // transport tells it.
    private static EndPoint? Mapped(EndPoint? address) => address is IPEndPoint { AddressFamily: AddressFamily.InterNetwork } ip
        ? new IPEndPoint(ip.Address.MapToIPv6(), ip.Port)
        : address;

    private Task Unbind()
    {
        lock (_lock) return _unbound ??= _borrowed is { } before ? GiveBackAsync(before) : _listener.DisposeAsync().AsTask();
    }

    private async Task GiveBackAsync(AdoptedState before)
    {
        SafeSocketHandle handle = await _listener.DetachAsync().ConfigureAwait(false);
        handle.SetHandleAsInvalid();
        before.PutBack();
    }
}
