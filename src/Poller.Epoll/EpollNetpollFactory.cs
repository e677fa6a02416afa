using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Epoll;

/// <summary>Makes <see cref="EpollNetpoll"/>s. Supported on Linux. Safe from any thread.</summary>
public sealed class EpollNetpollFactory : INetpollFactory
{
    internal const string BackendName = "epoll";

    /// <inheritdoc/>
    public string Name => BackendName;

    /// <inheritdoc/>
    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = WhyNot(OperatingSystem.IsLinux(), RuntimeInformation.OSDescription);
        return reason is null;
    }

    /// <inheritdoc/>
    public INetpoll Create() =>
        IsSupported(out string? reason) ? new EpollNetpoll() : throw new PlatformNotSupportedException($"{BackendName}: {reason}.");

    internal static string? WhyNot(bool isLinux, string os) =>
        isLinux ? null : $"it needs Linux and this process runs on {os}; backends supported there: none so far";
}
