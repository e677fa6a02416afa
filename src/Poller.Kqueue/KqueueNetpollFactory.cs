using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;

namespace Poller.Kqueue;

/// <summary>
/// Creates <see cref="KqueueNetpoll"/>s. It is supported on macOS, FreeBSD, OpenBSD and NetBSD, and on Linux if there is a kqueue library.
/// The environment variable <c>POLLER_KQUEUE_LIBRARY</c> may hold that library's path; else it is <c>libkqueue.so.0</c>. Safe from any
/// thread.
/// </summary>
/// <remarks>
/// On Linux use epoll. A kqueue library is only for trying this backend out, and the backend has not been run with one yet.
/// </remarks>
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
