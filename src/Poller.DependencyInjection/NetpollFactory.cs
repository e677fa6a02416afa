using Poller.Abstractions;

namespace Poller.DependencyInjection;

/// <summary>PollerKit's own backends, for a program without services: <c>new Netpoller(NetpollFactory.Best)</c>.</summary>
/// <remarks>
/// Safe from any thread. <c>AddPoller</c> chooses by the same rules, and also among the backends that the app adds.
/// </remarks>
public static class NetpollFactory
{
    /// <summary>
    /// The factory of the best backend that works on this machine: the first of <c>epoll</c>, <c>kqueue</c> and <c>posix</c>.
    /// </summary>
    /// <exception cref="PlatformNotSupportedException">None of them works on this machine; the message says why.</exception>
    public static INetpollFactory Best => Named(PollerOptions.Auto);

    /// <summary>The factory of the backend with a name.</summary>
    /// <param name="backend">
    /// <c>epoll</c>, <c>epoll-level</c>, <c>kqueue</c>, <c>posix</c> or <c>auto</c>, which means <see cref="Best"/>. Upper and lower case
    /// are the same.
    /// </param>
    /// <exception cref="ArgumentException">No backend has this name.</exception>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine; the message says why.</exception>
    public static INetpollFactory Named(string backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        BackendChoice choice = new(backend, []);
        if (choice.Factory is { } factory) return factory;
        string message = $"backend \"{backend}\": {choice.WhyNot}.";
        throw choice.IsKnown ? new PlatformNotSupportedException(message) : new ArgumentException(message, nameof(backend));
    }
}
