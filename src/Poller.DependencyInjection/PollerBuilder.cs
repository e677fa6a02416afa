using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Kqueue;
using Poller.Posix;

namespace Poller.DependencyInjection;

/// <summary>
/// Chooses the backend of a poller that was added to an app's services. Not thread-safe: use it while you build the services.
/// </summary>
public sealed class PollerBuilder
{
    private readonly OptionsBuilder<PollerOptions> _options;
    private readonly PollerRegistration _registration;

    internal PollerBuilder(OptionsBuilder<PollerOptions> options, PollerRegistration registration)
    {
        _options = options;
        _registration = registration;
    }

    /// <summary>The app's services.</summary>
    public IServiceCollection Services => _options.Services;

    /// <summary>Chooses epoll, which Linux has.</summary>
    /// <param name="options">How it works; null means edge-triggered.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option has an undefined value.</exception>
    public PollerBuilder UseEpoll(EpollNetpollOptions? options = null) =>
        Use(new EpollNetpollFactory(options ?? new EpollNetpollOptions()));

    /// <summary>Chooses kqueue, which macOS and the BSDs have.</summary>
    public PollerBuilder UseKqueue() => Use(new KqueueNetpollFactory());

    /// <summary>Chooses poll(2), which every Unix has.</summary>
    public PollerBuilder UsePosix() => Use(new PosixNetpollFactory());

    /// <summary>
    /// Adds a backend's factory. The services create it as a singleton, and own it. This poller's options may name its backend, and
    /// <see cref="PollerOptions.Auto"/> tries it before PollerKit's own.
    /// </summary>
    /// <typeparam name="TFactory">
    /// The factory. Its constructor may ask for services, but not for this poller or its options, because both wait for the factory.
    /// If it does, asking for the poller throws an <see cref="InvalidOperationException"/> that says so.
    /// </typeparam>
    public PollerBuilder AddFactory<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TFactory>()
        where TFactory : class, INetpollFactory
    {
        Services.TryAddSingleton<TFactory>();
        PollerRegistration registration = _registration;

        // We ask the services for the factory here. If the options depended on TFactory itself, every poller's options would create it.
        _options.Configure<IServiceProvider>((options, services) => options.Factories.Add(registration.GetFactory<TFactory>(services)));
        return this;
    }

    // Stores the name alone: it identifies each of PollerKit's own backends completely.
    private PollerBuilder Use(INetpollFactory factory)
    {
        _options.Configure(options => options.UsedBackend = factory.Name);
        return this;
    }
}
