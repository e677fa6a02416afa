using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;

namespace Poller.AspNetCore.Tests;

/// <summary>A transport that the tests run over. The same is expected of each.</summary>
public interface ITestTransport
{
    /// <summary>Makes it the transport of an app's services.</summary>
    static abstract void AddTo(IServiceCollection services);

    /// <summary>Whether it reads while the app does not, and so has something to pause.</summary>
    static virtual bool ReadsAhead => false;

    /// <summary>Whether a handler may block its thread for its own connection.</summary>
    static virtual bool MayBlock => true;
}

/// <summary>The sockets transport of ASP.NET Core, which says what is right.</summary>
public abstract class SocketsTransport : ITestTransport
{
    /// <inheritdoc/>
    public static bool ReadsAhead => true;

    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services) =>
        services.AddSingleton<IConnectionListenerFactory, SocketTransportFactory>();
}

/// <summary>Ours, over epoll, edge-triggered.</summary>
public abstract class EpollTransport : ITestTransport
{
    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services) => services.AddPollerTransport().UseEpoll();
}

/// <summary>Ours, over epoll, with every handler on the loop's thread.</summary>
public abstract class InlineTransport : ITestTransport
{
    /// <inheritdoc/>
    public static bool MayBlock => false;

    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services)
    {
        services.AddPollerTransport().UseEpoll();
        services.AddPoller(static options => options.Dispatch = NetpollDispatch.Inline);
    }
}

/// <summary>Ours, over epoll, with every handler on the thread pool.</summary>
public abstract class ThreadPoolTransport : ITestTransport
{
    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services)
    {
        services.AddPollerTransport().UseEpoll();
        services.AddPoller(static options => options.Dispatch = NetpollDispatch.ThreadPool);
    }
}

/// <summary>Ours, over epoll, level-triggered.</summary>
public abstract class EpollLevelTransport : ITestTransport
{
    /// <inheritdoc/>
    public static bool ReadsAhead => true;

    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services) =>
        services.AddPollerTransport().UseEpoll(new EpollNetpollOptions { Trigger = PollTrigger.Level });
}

/// <summary>Ours, over poll(2).</summary>
public abstract class PosixTransport : ITestTransport
{
    /// <inheritdoc/>
    public static bool ReadsAhead => true;

    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services) => services.AddPollerTransport().UsePosix();
}

/// <summary>Ours, over kqueue on an emulated kernel.</summary>
public abstract class KqueueTransport : ITestTransport
{
    /// <inheritdoc/>
    public static void AddTo(IServiceCollection services)
    {
        services.AddPollerTransport();
        services.AddPoller(static options =>
        {
            EmulatedKqueueFactory factory = new();
            options.Factories.Add(factory);
            options.Backend = factory.Name;
        });
    }
}
