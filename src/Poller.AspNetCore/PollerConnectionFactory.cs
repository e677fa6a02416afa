using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>Connects, for anything that takes an <see cref="IConnectionFactory"/>. Safe from any thread.</summary>
public sealed class PollerConnectionFactory : IConnectionFactory, IDisposable
{
    private readonly NetStack _net;
    private readonly PollerTransportOptions _options;
    private readonly MemoryPool<byte> _pool;
    private readonly ILogger _logger;

    /// <summary>Creates a factory.</summary>
    /// <inheritdoc cref="PollerTransportFactory(NetStack, IOptions{PollerTransportOptions}, ILoggerFactory, IMemoryPoolFactory{byte}?)"/>
    public PollerConnectionFactory(
        NetStack net, IOptions<PollerTransportOptions> options, ILoggerFactory loggerFactory, IMemoryPoolFactory<byte>? pools = null)
    {
        ArgumentNullException.ThrowIfNull(net);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggerFactory);
        _net = net;
        _options = options.Value;
        _logger = TransportLog.CreateLogger(loggerFactory, net.Poller);
        _pool = pools.CreatePool();
    }

    /// <summary>Connects to an <see cref="IPEndPoint"/>, a <see cref="DnsEndPoint"/> or a <see cref="UnixDomainSocketEndPoint"/>.</summary>
    /// <exception cref="SocketException">The system or the peer refused, or the name is unknown.</exception>
    /// <exception cref="NotSupportedException">The end point is of another kind.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask<ConnectionContext> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        Conn? conn = null;
        try
        {
            conn = endpoint switch
            {
                IPEndPoint or DnsEndPoint => await _net.DialTcpAsync(endpoint, cancellationToken).ConfigureAwait(false),
                UnixDomainSocketEndPoint unix => await _net.DialUnixAsync(unix, cancellationToken).ConfigureAwait(false),
                _ => throw new NotSupportedException(
                    $"connect {endpoint}: an IPEndPoint, a DnsEndPoint or a UnixDomainSocketEndPoint was expected."),
            };
            return PollerConnection.Start(conn, _options, _pool, _logger);
        }
        catch (NetOpException e)
        {
            if (conn is not null) await conn.DisposeAsync().ConfigureAwait(false);
            throw new SocketException((int)e.SocketErrorCode, e.Message);
        }
    }

    /// <summary>Disposes the pool of the buffers. Dispose the connections first.</summary>
    public void Dispose() => _pool.Dispose();
}
