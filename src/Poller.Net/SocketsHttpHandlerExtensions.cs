using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

// The twin of Transport.DialContext in Go's net/http: what an HTTP client dials with.

/// <summary>Lets HTTP clients dial through a net stack.</summary>
public static class SocketsHttpHandlerExtensions
{
    /// <inheritdoc cref="UsePoller(SocketsHttpHandler, Dialer)" path="/*[self::remarks or self::returns or self::exception]"/>
    /// <summary>Makes the handler dial through a net stack, with the default options of a <see cref="Dialer"/>.</summary>
    /// <param name="handler">The handler.</param>
    /// <param name="stack">The net stack. You own its poller; dispose it after the handler.</param>
    public static SocketsHttpHandler UsePoller(this SocketsHttpHandler handler, NetStack stack) => handler.UsePoller(new Dialer(stack));

    /// <summary>
    /// Makes the handler dial by a dialer: it sets <see cref="SocketsHttpHandler.ConnectCallback"/>. The handler does all else, such as
    /// TLS, HTTP/2, proxies and the pool of connections.
    /// </summary>
    /// <remarks>
    /// A request fails as it does without a poller. A name that does not resolve is
    /// <see cref="HttpRequestError.NameResolutionError"/>, and any other failure of a dial is
    /// <see cref="HttpRequestError.ConnectionError"/>. The inner exception is a <see cref="SocketException"/>, whose message names the
    /// operation and the address; <see cref="SocketError.TimedOut"/> also stands for the dialer's time-out. A cancelled request, and
    /// <see cref="SocketsHttpHandler.ConnectTimeout"/>, throw <see cref="OperationCanceledException"/>.
    /// </remarks>
    /// <param name="handler">The handler. It must not have sent a request.</param>
    /// <param name="dialer">The dialer. You own its poller; dispose it after the handler.</param>
    /// <returns>The handler.</returns>
    /// <exception cref="InvalidOperationException">The handler has sent a request.</exception>
    public static SocketsHttpHandler UsePoller(this SocketsHttpHandler handler, Dialer dialer)
    {
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentNullException.ThrowIfNull(dialer);
        handler.ConnectCallback = async (context, token) =>
        {
            try
            {
                // A literal IPv6 address has its brackets here.
                DnsEndPoint host = context.DnsEndPoint;
                EndPoint remote = IPAddress.TryParse(host.Host, out IPAddress? address) ? new IPEndPoint(address, host.Port) : host;
                return await dialer.DialTcpAsync(remote, token).ConfigureAwait(false);
            }
            catch (NetOpException e)
            {
                // The handler tells a name that does not resolve from other failures by this type alone.
                throw new SocketException((int)e.SocketErrorCode, e.Message);
            }
        };
        return handler;
    }
}
