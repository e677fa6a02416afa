using Poller.DependencyInjection;

namespace WebApp;

/// <summary>What Kestrel listens with.</summary>
internal enum Transport
{
    /// <summary>PollerKit's.</summary>
    Poller,

    /// <summary>That of ASP.NET Core.</summary>
    Sockets,

    /// <summary>The same, with handlers and completions on the threads that find them ready.</summary>
    SocketsInline,
}

/// <summary>The app's own settings.</summary>
/// <param name="Transport">What Kestrel listens with.</param>
/// <param name="Backend">The backend's name; with null the poller's settings decide.</param>
internal sealed record AppOptions(Transport Transport, string? Backend)
{
    /// <summary>The names of the transports, in the order of <see cref="WebApp.Transport"/>.</summary>
    public static string[] Transports { get; } = ["poller", "sockets", "sockets-inline"];

    /// <summary>The names of the backends.</summary>
    public static string[] Backends { get; } = ["auto", "epoll", "epoll-level", "posix", "kqueue"];

    /// <exception cref="FormatException">A setting is wrong. The message names it, its value and what was expected.</exception>
    public static AppOptions Read(IConfiguration configuration)
    {
        ListenUrls.Check(configuration[WebHostDefaults.ServerUrlsKey]);
        Transport transport = (Transport)IndexOf("transport", configuration["transport"] ?? Transports[0], Transports);
        string? backend = configuration["backend"];
        if (backend is null) return new AppOptions(transport, null);
        if (transport != Transport.Poller)
        {
            throw new FormatException($"--backend \"{backend}\": only the transport \"poller\" has a backend; no --backend was expected.");
        }
        IndexOf("backend", backend, Backends);
        try
        {
            return new AppOptions(transport, NetpollFactory.Named(backend).Name);
        }
        catch (PlatformNotSupportedException e)
        {
            throw new FormatException($"--{e.Message}", e);
        }
    }

    private static int IndexOf(string option, string name, string[] names)
    {
        int index = Array.IndexOf(names, name);
        if (index >= 0) return index;
        throw new FormatException($"--{option} \"{name}\": {string.Join(", ", names[..^1])} or {names[^1]} was expected.");
    }
}
