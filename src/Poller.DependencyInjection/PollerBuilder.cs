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

    internal PollerBuilder(OptionsBuilder<PollerOptions> options) => _options = options;

    /// <summary>The app's services.</summary>
    public IServiceCollection Services => _options.Services;

    /// <summary>Takes epoll, which Linux has.</summary>
    /// <param name="options">How it works; null is edge-triggered.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is none there is.</exception>
    public PollerBuilder UseEpoll(EpollNetpollOptions? options = null) =>
        Use(new EpollNetpollFactory(options ?? new EpollNetpollOptions()));

    /// <summary>Takes kqueue, which macOS and the BSDs have.</summary>
    public PollerBuilder UseKqueue() => Use(new KqueueNetpollFactory());

    /// <summary>Takes poll(2), which every Unix has.</summary>
    public PollerBuilder UsePosix() => Use(new PosixNetpollFactory());

    /// <summary>
    /// Makes a backend known to this poller by its name. <see cref="PollerOptions.Auto"/> tries it before PollerKit's own. The services
    /// make the factory, as a singleton, and own it.
    /// </summary>
    /// <typeparam name="TFactory">
    /// The backend's factory. Its constructor may ask for services, but neither for the poller nor for its options, which wait for it.
    /// </typeparam>
    public PollerBuilder AddBackend<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TFactory>()
        where TFactory : class, INetpollFactory
    {
        Services.TryAddSingleton<TFactory>();
        _options.Configure<TFactory>(static (options, factory) => options.Backends.Add(factory));
        return this;
    }

    // By its name, which says all that there is to say of a backend of ours.
    private PollerBuilder Use(INetpollFactory factory)
    {
        _options.Configure(options => options.UsedBackend = factory.Name);
        return this;
    }
}
