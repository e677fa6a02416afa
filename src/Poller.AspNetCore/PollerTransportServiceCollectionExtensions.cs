using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Poller.AspNetCore;
using Poller.DependencyInjection;

#pragma warning disable IDE0130 // As every AddX method is in this namespace, so that an app finds it without another using.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds PollerKit's transport to an app's services.</summary>
public static class PollerTransportServiceCollectionExtensions
{
    /// <summary>
    /// Makes Kestrel listen through a poller, and anything else on Microsoft.AspNetCore.Connections listen and connect through it. It adds
    /// the poller too, as <see cref="PollerServiceCollectionExtensions.AddPoller"/> does.
    /// </summary>
    /// <param name="services">The app's services.</param>
    /// <param name="configure">Sets the transport's options; may be null.</param>
    /// <returns>What chooses the poller's backend. The poller's options say where work runs.</returns>
    /// <remarks>
    /// Kestrel asks the factory that was added last. End points that this one cannot bind go to the one before it. A second call
    /// configures the same transport.
    /// </remarks>
    public static PollerBuilder AddPollerTransport(this IServiceCollection services, Action<PollerTransportOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (configure is not null) services.Configure(configure);
        services.TryAddTransient<IOptionsFactory<PollerTransportOptions>, BoundOptionsFactory<PollerTransportOptions>>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConnectionListenerFactory, PollerTransportFactory>());
        services.TryAddSingleton<IConnectionFactory, PollerConnectionFactory>();
        return services.AddPoller();
    }
}
