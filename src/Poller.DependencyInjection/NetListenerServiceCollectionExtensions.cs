using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Poller.DependencyInjection;
using Poller.Net;

#pragma warning disable IDE0130 // Every AddX method is in this namespace, so that an app finds it without another using.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds listeners to an app's services. They run while the app's host runs.</summary>
public static class NetListenerServiceCollectionExtensions
{
    /// <summary>Adds a listener whose connections a function serves; see <see cref="IConnHandler.HandleAsync"/>.</summary>
    /// <inheritdoc cref="AddNetListener{THandler}" path="/*[self::remarks or self::returns]"/>
    /// <param name="services">The app's services.</param>
    /// <param name="network">The network: <c>tcp</c>, <c>tcp4</c>, <c>tcp6</c>, <c>unix</c> or <c>unixpacket</c>.</param>
    /// <param name="address">The address, as <see cref="NetStack.Listen"/> takes it, such as <c>:8888</c>.</param>
    /// <param name="handler">Serves a connection.</param>
    /// <param name="configure">Sets further options; may be null.</param>
    public static OptionsBuilder<NetListenerOptions> AddNetListener(
        this IServiceCollection services,
        string network,
        string address,
        Func<Conn, CancellationToken, Task> handler,
        Action<NetListenerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(handler);
        return Add(services, network, address, configure, (_, conn, stopping) => handler(conn, stopping));
    }

    /// <summary>
    /// Adds a listener whose connections a class serves. The services make a handler for each connection, in a scope of its own, unless you
    /// have registered the class with another lifetime.
    /// </summary>
    /// <remarks>
    /// <para>
    /// The listener binds when the host starts. If it cannot have its address, the host does not start. It takes the poller of
    /// <see cref="PollerServiceCollectionExtensions.AddPoller"/>, which this method adds too, or the one of
    /// <see cref="NetListenerOptions.PollerKey"/>. When the host stops, the listener stops listening and cancels the handlers' token. When
    /// the host's time for the shutdown is over (<c>HostOptions.ShutdownTimeout</c>, 30 s), it closes the connections that are left.
    /// </para>
    /// <para>
    /// A handler that fails ends its own connection, and the log tells of it once. The listener goes on. What a handler logs has the
    /// connection's number in its scope, as <c>ConnectionId</c>.
    /// </para>
    /// <para>Each call adds another listener. The services list them as <see cref="NetListenerService"/>.</para>
    /// </remarks>
    /// <typeparam name="THandler">The handler.</typeparam>
    /// <param name="services">The app's services.</param>
    /// <param name="network">The network: <c>tcp</c>, <c>tcp4</c>, <c>tcp6</c>, <c>unix</c> or <c>unixpacket</c>.</param>
    /// <param name="address">The address, as <see cref="NetStack.Listen"/> takes it, such as <c>:8888</c>.</param>
    /// <param name="configure">Sets further options; may be null.</param>
    /// <returns>The listener's options, which you can configure further, as from the configuration.</returns>
    public static OptionsBuilder<NetListenerOptions> AddNetListener<
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] THandler>(
        this IServiceCollection services, string network, string address, Action<NetListenerOptions>? configure = null)
        where THandler : class, IConnHandler
    {
        ArgumentNullException.ThrowIfNull(services);
        services.TryAddScoped<THandler>();
        return Add(services, network, address, configure, static async (provider, conn, stopping) =>
        {
            AsyncServiceScope scope = provider.CreateAsyncScope();
            await using (scope.ConfigureAwait(false))
            {
                await scope.ServiceProvider.GetRequiredService<THandler>().HandleAsync(conn, stopping).ConfigureAwait(false);
            }
        });
    }

    private static OptionsBuilder<NetListenerOptions> Add(
        IServiceCollection services,
        string network,
        string address,
        Action<NetListenerOptions>? configure,
        Func<IServiceProvider, Conn, CancellationToken, Task> handle)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(address);
        services.AddPoller();
        services.TryAddSingleton<ActivatedSockets>();
        services.TryAddTransient<IOptionsFactory<NetListenerOptions>, BoundOptionsFactory<NetListenerOptions>>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<NetListenerOptions>, NetListenerOptionsValidator>());

        // The number makes the name unique: two listeners may have one address, such as one with port 0.
        int number = services.Count(static service => service.ServiceType == typeof(NetListenerService));
        string name = string.Create(CultureInfo.InvariantCulture, $"{network} {address} ({number})");
        services.AddKeyedSingleton(name, (provider, _) => new NetListenerService(provider, name, handle));
        services.AddSingleton(provider => provider.GetRequiredKeyedService<NetListenerService>(name));
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredKeyedService<NetListenerService>(name));

        OptionsBuilder<NetListenerOptions> options = services.AddOptions<NetListenerOptions>(name).ValidateOnStart();
        options.Configure(options => (options.Network, options.Address) = (network, address));
        return configure is null ? options : options.Configure(configure);
    }
}
