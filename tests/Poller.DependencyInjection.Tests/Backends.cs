using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;
using Poller.Posix;

namespace Poller.DependencyInjection.Tests;

/// <summary>Somebody else's backend, which works.</summary>
internal sealed class TheirFactory : INetpollFactory
{
    public string Name => "theirs";

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = null;
        return true;
    }

    public INetpoll Create() => new PosixNetpollFactory().Create();
}

/// <summary>One that does not work here, as kqueue on most machines.</summary>
internal sealed class AbsentFactory : INetpollFactory
{
    public string Name => "absent";

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = "it needs another machine";
        return false;
    }

    public INetpoll Create() => throw new PlatformNotSupportedException("absent: it needs another machine.");
}

/// <summary>One whose factory asks for a service, and tells it of its end.</summary>
internal sealed class WatchedFactory(List<string> ends) : INetpollFactory, IDisposable
{
    public string Name => "watched";

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = null;
        return true;
    }

    public INetpoll Create() => new PosixNetpollFactory().Create();

    public void Dispose() => ends.Add("factory");
}

/// <summary>One under a name that may be another's, which counts.</summary>
internal sealed class NamedFactory(string name) : INetpollFactory, IDisposable
{
    public int Created { get; private set; }

    public int Disposed { get; private set; }

    public string Name => name;

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = null;
        return true;
    }

    public INetpoll Create()
    {
        Created++;
        return new PosixNetpollFactory().Create();
    }

    public void Dispose() => Disposed++;
}
