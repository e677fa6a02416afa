using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Poller.AspNetCore;

namespace Cluster;

/// <summary>Gives an Orleans silo or client PollerKit's transport.</summary>
internal static class OrleansPoller
{
    /// <summary>
    /// Replaces Orleans's transports. Orleans has one for each use, which is a keyed service: the factories of a silo's listener, of its
    /// gateway's and of its connections to other silos, and the factory of a client's connections. The keys are not public, so we take them
    /// from what Orleans has registered. Of two services under one key the later one counts.
    /// </summary>
    public static void UsePoller(this IServiceCollection services)
    {
        // Orleans ends each connection by an abort, and expects that the peer still gets what was sent. A reset would take it away.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.FinOnError", true);
        services.AddPollerTransport();
        foreach (ServiceDescriptor service in services.Where(static service => service.IsKeyedService).ToArray())
        {
            if (service.ServiceType == typeof(IConnectionFactory))
            {
                services.AddKeyedSingleton<IConnectionFactory, PollerConnectionFactory>(service.ServiceKey);
            }
            else if (service.ServiceType == typeof(IConnectionListenerFactory))
            {
                services.AddKeyedSingleton<IConnectionListenerFactory, PollerTransportFactory>(service.ServiceKey);
            }
        }
    }
}
