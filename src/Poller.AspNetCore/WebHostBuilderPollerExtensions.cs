using Microsoft.Extensions.DependencyInjection;
using Poller.AspNetCore;

#pragma warning disable IDE0130 // As every UseX method is in this namespace, so that an app finds it without another using.
namespace Microsoft.AspNetCore.Hosting;
#pragma warning restore IDE0130

/// <summary>Gives a web host PollerKit's transport.</summary>
public static class WebHostBuilderPollerExtensions
{
    /// <summary>
    /// Has Kestrel listen through a poller: <see cref="PollerTransportServiceCollectionExtensions.AddPollerTransport"/>. Call it after
    /// <c>UseKestrel</c>.
    /// </summary>
    /// <param name="builder">The web host's builder.</param>
    /// <param name="configure">Sets the transport's options; may be null.</param>
    public static IWebHostBuilder UsePoller(this IWebHostBuilder builder, Action<PollerTransportOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.ConfigureServices(services => services.AddPollerTransport(configure));
    }
}
