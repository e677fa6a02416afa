using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.DependencyInjection;
using Poller.Net;

#pragma warning disable IDE0130 // Every AddX stands in this namespace, so that an app finds it without another using.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds pollers to an app's services.</summary>
public static class PollerServiceCollectionExtensions
{
    /// <summary>
    /// Adds one <see cref="INetpollFactory"/>, one <see cref="Netpoller"/> and one <see cref="NetStack"/>, each made when first asked for.
    /// The services dispose of the poller, after those services that asked for it. You own the listeners and connections that you create.
    /// </summary>
    /// <remarks>
    /// <para>
    /// The backend is, in rising precedence: <paramref name="configure"/>'s; the builder's <c>Use…</c>; the configuration's
    /// <c>Poller:Backend</c>; the environment variable <c>POLLER_BACKEND</c>. The configuration, where the services have one, may hold
    /// <c>Poller:Dispatch</c>, <c>Poller:Loops</c> and <c>Poller:MaxBlockedHandlers</c> too; a warning is logged of anything else there. An
    /// empty value counts as none.
    /// </para>
    /// <para>
    /// Where the services have an <see cref="INetpollFactory"/> of their own, that is the backend, whatever the options name; the options'
    /// backend is then not validated, and a line in the log says so.
    /// </para>
    /// <para>
    /// The options are validated when a host starts, else when the poller is made: <see cref="OptionsValidationException"/>. The poller
    /// takes the services' <see cref="TimeProvider"/> and <see cref="ILoggerFactory"/> where they have one. A second call configures the
    /// same poller.
    /// </para>
    /// </remarks>
    public static PollerBuilder AddPoller(this IServiceCollection services, Action<PollerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        return Add(services, null, configure);
    }

    /// <summary>
    /// Adds a separate poller under a key: keyed <see cref="INetpollFactory"/>, <see cref="Netpoller"/> and <see cref="NetStack"/>, beside
    /// any others.
    /// </summary>
    /// <remarks>
    /// As <see cref="AddPoller"/>, with three differences. Its section of the configuration is <c>Poller:Keyed:</c> and the key's text
    /// (<see cref="object.ToString"/>); a text with a colon has none. Its options have the key for their name, where that is a string, and
    /// no name to rely on where it is not. <c>POLLER_BACKEND</c> is not for it.
    /// </remarks>
    /// <param name="services">The app's services.</param>
    /// <param name="key">Any object with equality, as for every keyed service.</param>
    /// <param name="configure">Sets its options.</param>
    /// <exception cref="ArgumentException"><paramref name="key"/> is an empty string.</exception>
    public static PollerBuilder AddKeyedPoller(this IServiceCollection services, object key, Action<PollerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(key);
        if (key is "") throw new ArgumentException("\"\" names the options of the poller without a key; another is expected.", nameof(key));
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
