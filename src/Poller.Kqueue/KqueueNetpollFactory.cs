using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;

namespace Poller.Kqueue;

/// <summary>
/// Makes <see cref="KqueueNetpoll"/>s. Supported on macOS, FreeBSD, OpenBSD and NetBSD, and on Linux where a kqueue library is found: the
/// one whose path <c>POLLER_KQUEUE_LIBRARY</c> holds, else <c>libkqueue.so.0</c>. Safe from any thread.
/// </summary>
/// <remarks>A kqueue library stands in for a kernel, to try the backend out, and has not been run with. On Linux use epoll.</remarks>
public sealed class KqueueNetpollFactory : INetpollFactory
{
    internal const string BackendName = "kqueue";

    /// <inheritdoc/>
    public string Name => BackendName;

    /// <inheritdoc/>
    public bool IsSupported([NotNullWhen(false)] out string? reason) => KqueueApi.TryLoad(out _, out reason);

    /// <inheritdoc/>
    public INetpoll Create() => new KqueueNetpoll(Load());

    /// <exception cref="PlatformNotSupportedException">There is no kqueue here; the message says why.</exception>
    internal static KqueueApi Load() => KqueueApi.TryLoad(out KqueueApi? api, out string? reason)
        ? api
        : throw new PlatformNotSupportedException($"{BackendName}: {reason}.");
}
