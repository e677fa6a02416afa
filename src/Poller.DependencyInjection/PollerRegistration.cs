using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>
/// One poller of an app's services: its key, the names of its options and settings, and how it is created. The services hold one
/// registration for each key. Safe from any thread once the services are built.
/// </summary>
internal sealed partial class PollerRegistration
{
    private const string LogCategory = "Poller.DependencyInjection";

    // NetListenerService has closed the connections by then, and has given their handlers a second too.
    private static readonly TimeSpan DisposeTimeout = TimeSpan.FromSeconds(1);

    // Constant.
    private readonly IServiceCollection _services;
    private readonly ServiceDescriptor _factory;

    // Atomic. The key is a thread, the value what that thread creates for this poller. Its constructor must not ask for the poller.
    private readonly ConcurrentDictionary<int, string> _making = new();

    private PollerRegistration(IServiceCollection services, object? key)
    {
        _services = services;
        Key = key;
        OptionsName = key switch
        {
            null => Options.DefaultName,
            string name => name,
            _ => $"{key} ({key.GetType()} {Guid.NewGuid():N})", // Different keys may have the same text.
        };
        _factory = ServiceDescriptor.KeyedSingleton<INetpollFactory>(key, (provider, _) => CreateFactory(provider));
    }

    /// <summary>The key in the services; null for the poller without a key.</summary>
    public object? Key { get; }

    /// <summary>The name of its options. If the key is a string, it is the key.</summary>
    public string OptionsName { get; }

    /// <summary>
    /// Its section of the configuration: Poller, or Poller:Keyed:key for a poller with a key. Null if no section can have the key's name.
    /// </summary>
    public string? Section => Key is null ? PollerSettings.Section
        : Key.ToString() is { Length: > 0 } text && !text.Contains(ConfigurationPath.KeyDelimiter, StringComparison.Ordinal)
            ? ConfigurationPath.Combine(PollerSettings.Section, PollerSettings.Keyed, text)
        : null;

    /// <summary>Whether the app has registered an INetpollFactory itself. The options' backend then has no effect.</summary>
    public bool IsOverruled =>
        _factory != _services.Last(service => service.ServiceType == typeof(INetpollFactory) && Equals(service.ServiceKey, Key));

    /// <summary>The registration of a key. If there is none yet, adds one to the services, with the services that it creates.</summary>
    public static PollerRegistration For(IServiceCollection services, object? key)
    {
        IEnumerable<PollerRegistration> there = services
            .Where(static service => service.ServiceType == typeof(PollerRegistration))
            .Select(static service => (PollerRegistration)service.ImplementationInstance!);
        if (there.FirstOrDefault(registration => Equals(registration.Key, key)) is { } registration) return registration;

        registration = new PollerRegistration(services, key);
        services.AddSingleton(registration);
        services.TryAdd(registration._factory);
        services.TryAddKeyedSingleton(key, (provider, key) => registration.CreatePoller(provider, key));
        services.TryAddKeyedSingleton(key, static (provider, key) => new NetStack(Get<Netpoller>(provider, key)));
        return registration;
    }

    /// <summary>Asks the services for a factory that this poller's options will hold.</summary>
    public TFactory GetFactory<TFactory>(IServiceProvider provider) where TFactory : class, INetpollFactory =>
        Make(typeof(TFactory).ToString(), provider.GetRequiredService<TFactory>);

    // The services dispose what this returns. The wrapper keeps them from disposing the factory behind it.
    private BorrowedFactory CreateFactory(IServiceProvider provider)
    {
        PollerOptions options = OptionsOf(provider);
        ILogger logger = LoggerOf(provider);
        BackendChoice choice = new(options.Backend, options.Factories);
        INetpollFactory factory = choice.Factory
            ?? throw new InvalidOperationException($"the options were not validated: backend \"{options.Backend}\": {choice.WhyNot}.");
        string setting = options.NameOf(nameof(options.Backend), options.Backend);
        string candidates = string.Join(", ", choice.Candidates);
        foreach ((string name, string reason) in choice.PassedOver) LogPassedOver(logger, setting, name, reason);
        if (choice.IsAuto) LogChosen(logger, setting, factory.Name, candidates);
        else LogNamed(logger, setting, factory.Name);
        return new BorrowedFactory(factory);
    }

    private Netpoller CreatePoller(IServiceProvider provider, object? key)
    {
        PollerOptions options = OptionsOf(provider);
        ILogger logger = LoggerOf(provider);
        foreach (string warning in options.Warnings) LogWarning(logger, warning);
        INetpollFactory factory;
        if (IsOverruled)
        {
            factory = Make("The INetpollFactory of the services", () => Get<INetpollFactory>(provider, key));
            string setting = options.NameOf(nameof(options.Backend), options.Backend);
            LogOverruled(logger, factory.Name, setting, options.Backend);
        }
        else factory = Get<INetpollFactory>(provider, key);
        return new Netpoller(factory, new NetpollerOptions
        {
            Dispatch = options.Dispatch,
            Loops = options.Loops,
            MaxBlockedHandlers = options.MaxBlockedHandlers,
            TimeProvider = provider.GetService<TimeProvider>() ?? TimeProvider.System,
            LoggerFactory = provider.GetService<ILoggerFactory>(),
            MeterFactory = provider.GetService<IMeterFactory>(),
            Name = key?.ToString(),
            DisposeTimeout = DisposeTimeout,
        });
    }

    private PollerOptions OptionsOf(IServiceProvider provider)
    {
        ThrowIfMaking();
        return provider.GetRequiredService<IOptionsMonitor<PollerOptions>>().Get(OptionsName);
    }

    // The container does not detect a cycle through its delegates: it recurses until the stack ends, and then it waits for itself.
    private T Make<T>(string what, Func<T> make)
    {
        ThrowIfMaking();
        int thread = Environment.CurrentManagedThreadId;
        _making[thread] = what;
        try
        {
            return make();
        }
        finally
        {
            _making.TryRemove(thread, out _);
        }
    }

    private void ThrowIfMaking()
    {
        if (!_making.TryGetValue(Environment.CurrentManagedThreadId, out string? what)) return;
        string poller = Key is null ? "the poller" : $"poller \"{Key}\"";
        throw new InvalidOperationException(
            $"{what} asks in its constructor for {poller} or for its options, which wait for it; a constructor without them was expected.");
    }

    private static ILogger LoggerOf(IServiceProvider provider) =>
        (provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance).CreateLogger(LogCategory);

    private static T Get<T>(IServiceProvider provider, object? key) where T : notnull =>
        key is null ? provider.GetRequiredService<T>() : provider.GetRequiredKeyedService<T>(key);

    [LoggerMessage(
        EventId = 1, Level = LogLevel.Information,
        Message = "{Setting} \"auto\": took {Backend}, the first of {Candidates} that works here.")]
    private static partial void LogChosen(ILogger logger, string setting, string backend, string candidates);

    [LoggerMessage(EventId = 2, Level = LogLevel.Information, Message = "{Setting} \"auto\": passed {Backend} over: {Reason}.")]
    private static partial void LogPassedOver(ILogger logger, string setting, string backend, string reason);

    [LoggerMessage(EventId = 3, Level = LogLevel.Debug, Message = "{Setting}: took {Backend}.")]
    private static partial void LogNamed(ILogger logger, string setting, string backend);

    [LoggerMessage(EventId = 4, Level = LogLevel.Warning, Message = "{Text}.")]
    private static partial void LogWarning(ILogger logger, string text);

    [LoggerMessage(
        EventId = 5, Level = LogLevel.Information,
        Message = "Took {Backend}, the INetpollFactory that the services have of their own. It overrides {Setting} \"{Value}\".")]
    private static partial void LogOverruled(ILogger logger, string backend, string setting, string value);

    private sealed class BorrowedFactory(INetpollFactory factory) : INetpollFactory
    {
        public string Name => factory.Name;

        public bool IsSupported([NotNullWhen(false)] out string? reason) => factory.IsSupported(out reason);

        public INetpoll Create() => factory.Create();
    }
}
