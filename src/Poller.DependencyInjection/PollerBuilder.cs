using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Kqueue;
using Poller.Posix;

namespace Poller.DependencyInjection;

/// <summary>Chooses the backend of a poller that was added to an app's services. For the thread that builds them.</summary>
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

    /// <summary>Takes epoll, which Linux has.</summary>
    /// <param name="options">How it works; null is edge-triggered.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option has an undefined value.</exception>
    public PollerBuilder UseEpoll(EpollNetpollOptions? options = null) =>
        Use(new EpollNetpollFactory(options ?? new EpollNetpollOptions()));

    /// <summary>Takes kqueue, which macOS and the BSDs have.</summary>
    public PollerBuilder UseKqueue() => Use(new KqueueNetpollFactory());

    /// <summary>Takes poll(2), which every Unix has.</summary>
    public PollerBuilder UsePosix() => Use(new PosixNetpollFactory());

    /// <summary>
    /// Adds a factory that the services make, as a singleton, and own: its backend is known to this poller by its name, and
    /// <see cref="PollerOptions.Auto"/> tries it before PollerKit's own.
    /// </summary>
    /// <typeparam name="TFactory">
    /// The factory. Its constructor may ask for services, but neither for this poller nor for its options, which wait for it: the poller is
    /// then not made, and <see cref="InvalidOperationException"/> says so.
    /// </typeparam>
    public PollerBuilder AddFactory<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TFactory>()
        where TFactory : class, INetpollFactory
    {
        Services.TryAddSingleton<TFactory>();
        PollerRegistration registration = _registration;

        // By way of the services, as a dependency on the factory itself would be made for the options of every poller.
        _options.Configure<IServiceProvider>((options, services) => options.Factories.Add(registration.GetFactory<TFactory>(services)));
        return this;
    }

    // By its name, which says all that there is to say of a backend of ours.
    private PollerBuilder Use(INetpollFactory factory)
    {
        _options.Configure(options => options.UsedBackend = factory.Name);
        return this;
    }
}
