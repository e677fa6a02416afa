using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Posix;

/// <summary>Creates <see cref="PosixNetpoll"/>s. It is supported on every Unix. Safe from any thread.</summary>
public sealed class PosixNetpollFactory : INetpollFactory
{
    internal const string BackendName = "posix";

    /// <inheritdoc/>
    public string Name => BackendName;

    /// <inheritdoc/>
    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        bool isUnix = !OperatingSystem.IsWindows() && !OperatingSystem.IsBrowser() && !OperatingSystem.IsWasi();
        reason = WhyNot(isUnix, RuntimeInformation.OSDescription);
        return reason is null;
    }

    /// <inheritdoc/>
    public INetpoll Create() =>
        IsSupported(out string? reason) ? new PosixNetpoll() : throw new PlatformNotSupportedException($"{BackendName}: {reason}.");

    internal static string? WhyNot(bool isUnix, string os) =>
        isUnix ? null : $"it needs poll(2), which every Unix has, and this process runs on {os}";
}
