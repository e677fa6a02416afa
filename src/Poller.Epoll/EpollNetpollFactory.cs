using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Epoll;

/// <summary>Creates <see cref="EpollNetpoll"/>s. It is supported on Linux. Safe from any thread.</summary>
public sealed class EpollNetpollFactory : INetpollFactory
{
    private readonly EpollNetpollOptions _options;

    /// <summary>A factory of edge-triggered pollers.</summary>
    public EpollNetpollFactory() : this(new EpollNetpollOptions()) { }

    /// <summary>A factory of pollers that work as the options say.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option has an undefined value.</exception>
    public EpollNetpollFactory(EpollNetpollOptions options)
    {
        Name = NameOf(options);
        _options = options;
    }

    /// <summary><c>epoll</c>, or <c>epoll-level</c> if the pollers are level-triggered.</summary>
    public string Name { get; }

    /// <inheritdoc/>
    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = WhyNot(OperatingSystem.IsLinux(), RuntimeInformation.OSDescription);
        return reason is null;
    }

    /// <inheritdoc/>
    public INetpoll Create() =>
        IsSupported(out string? reason) ? new EpollNetpoll(_options) : throw new PlatformNotSupportedException($"{Name}: {reason}.");

    internal static string NameOf(EpollNetpollOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return options.Trigger switch
        {
            PollTrigger.Edge => "epoll",
            PollTrigger.Level => "epoll-level",
            _ => throw new ArgumentOutOfRangeException(nameof(options), options.Trigger, "Trigger: Edge or Level was expected."),
        };
    }

    internal static string? WhyNot(bool isLinux, string os) =>
        isLinux ? null : $"it needs Linux and this process runs on {os}";
}
