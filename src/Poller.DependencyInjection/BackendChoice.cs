using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Kqueue;
using Poller.Posix;

namespace Poller.DependencyInjection;

/// <summary>
/// The backend that options name: found here, the one place that knows all of them. The services own this, and not the factory behind it.
/// </summary>
internal sealed partial class BackendChoice : INetpollFactory
{
    // For whoever asks for it: where it works epoll does, with fewer system calls.
    private static readonly INetpollFactory EpollLevel = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });

    // Best first.
    private static readonly INetpollFactory[] Ours =
        [new EpollNetpollFactory(), EpollLevel, new KqueueNetpollFactory(), new PosixNetpollFactory()];

    private readonly INetpollFactory _factory;

    /// <summary>The backend for options that are valid.</summary>
    public BackendChoice(PollerOptions options, string name, ILogger logger)
    {
        if (!IsAuto(options))
        {
            _factory = Named(options)!;
            string setting = options.NameOf(nameof(options.Backend), options.Backend, name);
            string named = _factory.Name;
            LogNamed(logger, setting, named);
            return;
        }
        string names = string.Join(", ", Candidates(options).Select(static candidate => candidate.Name));
        foreach (INetpollFactory candidate in Candidates(options))
        {
            string candidateName = candidate.Name;
            if (candidate.IsSupported(out string? reason))
            {
                _factory = candidate;
                LogChosen(logger, candidateName, names);
                return;
            }
            LogPassedOver(logger, candidateName, reason);
        }
        throw new InvalidOperationException("the options were not validated: no backend works here.");
    }

    public string Name => _factory.Name;

    public bool IsSupported([NotNullWhen(false)] out string? reason) => _factory.IsSupported(out reason);

    public INetpoll Create() => _factory.Create();

    /// <summary>Why there is no backend for these options, which have it from <paramref name="setting"/>; or null.</summary>
    public static string? WhyNot(PollerOptions options, string setting)
    {
        if (IsAuto(options))
        {
            List<string> reasons = [];
            foreach (INetpollFactory candidate in Candidates(options))
            {
                if (candidate.IsSupported(out string? why)) return null;
                reasons.Add($"{candidate.Name}: {why}");
            }
            return Messages.UnsupportedBackend(setting, options.Backend, $"none works here; {string.Join("; ", reasons)}");
        }
        if (Named(options) is not { } named)
        {
            return Messages.UnknownBackend(setting, options.Backend, Known(options).Select(static factory => factory.Name).Distinct());
        }
        return named.IsSupported(out string? reason) ? null : Messages.UnsupportedBackend(setting, options.Backend, reason);
    }

    private static bool IsAuto(PollerOptions options) => IsName(PollerOptions.Auto, options);

    private static bool IsName(string name, PollerOptions options) => name.Equals(options.Backend, StringComparison.OrdinalIgnoreCase);

    private static IEnumerable<INetpollFactory> Known(PollerOptions options) => options.Backends.Concat(Ours);

    private static IEnumerable<INetpollFactory> Candidates(PollerOptions options) =>
        Known(options).Where(static factory => factory != EpollLevel).DistinctBy(static factory => factory.Name);

    private static INetpollFactory? Named(PollerOptions options) => Known(options).FirstOrDefault(factory => IsName(factory.Name, options));

    [LoggerMessage(
        EventId = 1, Level = LogLevel.Information, Message = "Backend auto: {Backend} it is, the first of {Candidates} that works here.")]
    private static partial void LogChosen(ILogger logger, string backend, string candidates);

    [LoggerMessage(EventId = 2, Level = LogLevel.Information, Message = "Backend auto: {Backend} was passed over: {Reason}.")]
    private static partial void LogPassedOver(ILogger logger, string backend, string reason);

    [LoggerMessage(EventId = 3, Level = LogLevel.Debug, Message = "{Setting}: {Backend} it is.")]
    private static partial void LogNamed(ILogger logger, string setting, string backend);
}
