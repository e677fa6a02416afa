using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.DependencyInjection;
using Poller.Net;

#pragma warning disable IDE0130 // Every AddX method is in this namespace, so that an app finds it without another using.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds pollers to an app's services.</summary>
public static class PollerServiceCollectionExtensions
{
    /// <summary>
    /// Adds one <see cref="INetpollFactory"/>, one <see cref="Netpoller"/> and one <see cref="NetStack"/>. The services create each when
    /// someone first asks for it. They dispose the poller after the services that asked for it in their constructors. You own the listeners
    /// and connections that you create; dispose them yourself. A handler that blocks a thread of the poller holds the dispose up for at
    /// most a second; the log then warns.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Four places may name the backend. Each of them overrides those before it: <paramref name="configure"/>, the builder's <c>Use…</c>,
    /// the setting <c>Poller:Backend</c> of the configuration, and the environment variable <c>POLLER_BACKEND</c>. If the services have a
    /// configuration, it may also hold <c>Poller:Dispatch</c>, <c>Poller:Loops</c> and <c>Poller:MaxBlockedHandlers</c>. A warning in the
    /// log names any other setting there. An empty value has no effect.
    /// </para>
    /// <para>
    /// If the app registers an <see cref="INetpollFactory"/> itself, the poller uses it, whatever backend the options name. The options'
    /// backend is then not validated, and the log says that it is overridden.
    /// </para>
    /// <para>
    /// A host validates the options when it starts; without a host they are validated when the poller is created. Invalid options throw
    /// <see cref="OptionsValidationException"/>, which stops the host from starting. The poller uses the <see cref="TimeProvider"/>, the
    /// <see cref="ILoggerFactory"/> and the <see cref="IMeterFactory"/> of the services, if there are any. A second call of this method
    /// configures the same poller.
    /// </para>
    /// </remarks>
    public static PollerBuilder AddPoller(this IServiceCollection services, Action<PollerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        return Add(services, null, configure);
    }

    /// <summary>
    /// Adds a separate poller under a key: a keyed <see cref="INetpollFactory"/>, <see cref="Netpoller"/> and <see cref="NetStack"/>.
    /// </summary>
    /// <remarks>
    /// It works as <see cref="AddPoller"/>, with these differences. Its section of the configuration is <c>Poller:Keyed:</c> followed by
    /// the key's text (<see cref="object.ToString"/>); if that text contains a colon, the poller has no section. If the key is a string, it
    /// is also the name of the poller's options; otherwise do not rely on their name. The key's text is the poller's name in its metrics.
    /// <c>POLLER_BACKEND</c> has no effect on it.
    /// </remarks>
    /// <param name="services">The app's services.</param>
    /// <param name="key">Any object with equality, as for every keyed service.</param>
    /// <param name="configure">Sets the poller's options; may be null.</param>
    /// <exception cref="ArgumentException"><paramref name="key"/> is an empty string.</exception>
    public static PollerBuilder AddKeyedPoller(this IServiceCollection services, object key, Action<PollerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(key);
        if (key is "") throw new ArgumentException("\"\" names the poller without a key; another key was expected.", nameof(key));
        return Add(services, key, configure);
    }

    private static PollerBuilder Add(IServiceCollection services, object? key, Action<PollerOptions>? configure)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<PollerOptions>, PollerSettings>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<PollerOptions>, PollerOptionsValidator>());
        PollerRegistration registration = PollerRegistration.For(services, key);
        OptionsBuilder<PollerOptions> options = services.AddOptions<PollerOptions>(registration.OptionsName).ValidateOnStart();
        options.Configure(options => options.Registration = registration);
        if (configure is not null) options.Configure(configure);
        return new PollerBuilder(options, registration);
    }
}
