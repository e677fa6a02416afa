using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>Adds pollers to an app's services.</summary>
public static partial class PollerServiceCollectionExtensions
{
    private const string LogCategory = "Poller.DependencyInjection";

    /// <summary>
    /// Adds one <see cref="INetpollFactory"/>, one <see cref="Netpoller"/> and one <see cref="NetStack"/>, made when first asked for. The
    /// poller is disposed with the services, after those services that asked for it. Listeners and connections are not the services'.
    /// </summary>
    /// <remarks>
    /// <para>
    /// The backend is, in rising precedence: <paramref name="configure"/>'s; the builder's <c>Use…</c>; the configuration's
    /// <c>Poller:Backend</c>; the environment variable <c>POLLER_BACKEND</c>. The configuration, where the services have one, may hold
    /// <c>Poller:Dispatch</c> and
    /// <c>Poller:Loops</c> too; of anything else there a warning is logged. A value that is empty counts as not there. Where the services
    /// have an <see cref="INetpollFactory"/> already, that is the backend, whatever the options name.
    /// </para>
    /// <para>
    /// The options are validated when a host starts, else when the poller is made: <see cref="OptionsValidationException"/>. The poller
    /// takes the services' <see cref="TimeProvider"/> and <see cref="ILoggerFactory"/> where they have one. Called again it configures the
    /// same poller.
    /// </para>
    /// </remarks>
    public static PollerBuilder AddPoller(this IServiceCollection services, Action<PollerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.TryAddSingleton(static INetpollFactory (provider) => Backend(provider, Options.DefaultName));
        services.TryAddSingleton(static provider => Poller(provider, Options.DefaultName, provider.GetRequiredService<INetpollFactory>()));
        services.TryAddSingleton(static provider => new NetStack(provider.GetRequiredService<Netpoller>()));
        return AddOptions(services, Options.DefaultName, configure);
    }

    /// <summary>
    /// Adds a poller of its own under a key: keyed <see cref="INetpollFactory"/>, <see cref="Netpoller"/> and <see cref="NetStack"/>,
    /// beside any others.
    /// </summary>
    /// <remarks>
    /// As <see cref="AddPoller(IServiceCollection, Action{PollerOptions}?)"/>, but its part of the configuration is <c>Poller:</c>key, and
    /// <c>POLLER_BACKEND</c> is not for it.
    /// </remarks>
    /// <exception cref="ArgumentException"><paramref name="key"/> is empty.</exception>
    public static PollerBuilder AddPoller(this IServiceCollection services, string key, Action<PollerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrEmpty(key);
        services.TryAddKeyedSingleton(key, static INetpollFactory (provider, key) => Backend(provider, (string)key!));
        services.TryAddKeyedSingleton(key, static (provider, key) =>
            Poller(provider, (string)key!, provider.GetRequiredKeyedService<INetpollFactory>(key)));
        services.TryAddKeyedSingleton(key, static (provider, key) => new NetStack(provider.GetRequiredKeyedService<Netpoller>(key)));
        return AddOptions(services, key, configure);
    }

    private static PollerBuilder AddOptions(IServiceCollection services, string name, Action<PollerOptions>? configure)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IPostConfigureOptions<PollerOptions>, PollerSettings>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<PollerOptions>, PollerOptionsValidator>());
        OptionsBuilder<PollerOptions> options = services.AddOptions<PollerOptions>(name).ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        return new PollerBuilder(options);
    }

    private static PollerOptions OptionsOf(IServiceProvider provider, string name) =>
        provider.GetRequiredService<IOptionsMonitor<PollerOptions>>().Get(name);

    private static BackendChoice Backend(IServiceProvider provider, string name) =>
        new(OptionsOf(provider, name), name, LoggerOf(provider));

    private static ILogger LoggerOf(IServiceProvider provider) =>
        (provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance).CreateLogger(LogCategory);

    private static Netpoller Poller(IServiceProvider provider, string name, INetpollFactory backend)
    {
        PollerOptions options = OptionsOf(provider, name);
        ILogger logger = LoggerOf(provider);
        string expected = Messages.OneOf(Messages.Settings);
        foreach (string setting in options.UnknownSettings) LogUnknownSetting(logger, setting, expected);
        return new Netpoller(backend, new NetpollerOptions
        {
            Dispatch = options.Dispatch,
            Loops = options.Loops,
            TimeProvider = provider.GetService<TimeProvider>() ?? TimeProvider.System,
            LoggerFactory = provider.GetService<ILoggerFactory>(),
        });
    }

    [LoggerMessage(EventId = 4, Level = LogLevel.Warning, Message = "{Setting} is no setting of a poller; {Expected} was expected.")]
    private static partial void LogUnknownSetting(ILogger logger, string setting, string expected);
}
