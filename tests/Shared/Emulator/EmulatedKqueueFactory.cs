using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;
using Poller.Kqueue;

namespace Poller.Tests.Shared;

/// <summary>Makes the real <see cref="KqueueNetpoll"/> over an emulated kernel of its own. For Linux.</summary>
internal sealed class EmulatedKqueueFactory : INetpollFactory
{
    public string Name => KqueueNetpollFactory.BackendName;

    /// <summary>Which system is emulated.</summary>
    internal KqueuePlatform Platform { get; init; } = KqueuePlatform.MacOS;

    /// <summary>Whether the system has EVFILT_USER.</summary>
    internal bool HasUserFilter { get; init; } = true;

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = OperatingSystem.IsLinux() ? null : "the emulated kqueue stands on epoll and needs Linux";
        return reason is null;
    }

    public INetpoll Create() => new KqueueNetpoll(new EmulatedKernel(Platform) { HasUserFilter = HasUserFilter });
}
