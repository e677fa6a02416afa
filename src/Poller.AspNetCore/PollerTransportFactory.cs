using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>
/// Binds listeners for Kestrel, and for anything else that takes an <see cref="IConnectionListenerFactory"/>. Safe from any thread.
/// </summary>
public sealed class PollerTransportFactory : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly NetStack _net;
    private readonly PollerTransportOptions _options;
    private readonly IMemoryPoolFactory<byte>? _pools;
    private readonly ILogger _logger;

    /// <summary>Creates a factory.</summary>
    /// <param name="net">What it listens with. You own its poller; dispose it after the listeners.</param>
    /// <param name="options">The options.</param>
    /// <param name="loggerFactory">Where the connections' log goes, in the category <c>Poller.AspNetCore.Transport</c>.</param>
    /// <param name="pools">Where buffers come from. With null they come from the pool that all programs share.</param>
    public PollerTransportFactory(
        NetStack net, IOptions<PollerTransportOptions> options, ILoggerFactory loggerFactory, IMemoryPoolFactory<byte>? pools = null)
    {
        ArgumentNullException.ThrowIfNull(net);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggerFactory);
        _net = net;
        _options = options.Value;
        _logger = TransportLog.CreateLogger(loggerFactory, net.Poller);
        _pools = pools;
    }

    /// <summary>
    /// Whether <see cref="BindAsync"/> takes such an end point: an <see cref="IPEndPoint"/>, a <see cref="UnixDomainSocketEndPoint"/> or a
    /// <see cref="FileHandleEndPoint"/>.
    /// </summary>
    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint;

    /// <summary>
    /// Listens on an end point. The descriptor of a <see cref="FileHandleEndPoint"/> stays its owner's. After the unbind it goes on
    /// listening, with the options and the blocking mode that it had before.
    /// </summary>
    /// <exception cref="AddressInUseException">Another socket has the address.</exception>
    /// <exception cref="SocketException">The system refused.</exception>
    /// <exception cref="ArgumentException">The descriptor is no listening socket.</exception>
    /// <exception cref="NotSupportedException">The end point is of another kind.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        cancellationToken.ThrowIfCancellationRequested();
        ConnListener listener;
        AdoptedState? borrowed = endpoint is FileHandleEndPoint handle ? _net.StateOf((nint)handle.FileHandle) : null;
        try
        {
            listener = endpoint switch
            {
                IPEndPoint ip => _net.ListenTcp(ip, _options.Listen),
                UnixDomainSocketEndPoint unix => _net.ListenUnix(unix, _options.Listen),
                FileHandleEndPoint file => _net.AdoptListener((nint)file.FileHandle, _options.Listen),
                _ => throw new NotSupportedException(
                    $"bind {endpoint}: an IPEndPoint, a UnixDomainSocketEndPoint or a FileHandleEndPoint was expected."),
            };
        }
        catch (NetOpException e)
        {
            // Kestrel tells an address in use by the first type. An IOException would keep it from trying IPv4 where there is no IPv6.
            if (e.SocketErrorCode == SocketError.AddressAlreadyInUse) throw new AddressInUseException(e.Message, e);
            throw new SocketException((int)e.SocketErrorCode, e.Message);
        }
        PollerConnectionListener made = new(listener, borrowed, _options, _pools.CreatePool(), _logger);
        return new ValueTask<IConnectionListener>(made);
    }
}
