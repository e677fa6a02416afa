using Microsoft.Extensions.Logging;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Kqueue;
using Poller.Posix;

namespace Poller.DependencyInjection;

/// <summary>Finds the backend that the options name: the one place that knows all of them.</summary>
internal static partial class BackendChoice
{
    // Best first. Level-triggered epoll is for whoever asks for it: where it works, epoll does, with fewer system calls.
    private static readonly INetpollFactory[] ByPreference = [new EpollNetpollFactory(), new KqueueNetpollFactory(), new PosixNetpollFactory()];
    private static readonly INetpollFactory[] OnRequest = [new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level })];

    /// <summary>Why there is no backend for these options, or null.</summary>
    public static string? WhyNot(PollerOptions options)
    {
        string setting = options.BackendSetBy ?? nameof(options.Backend);
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
        INetpollFactory? named = Named(options);
        return named is null ? Messages.UnknownBackend(setting, options.Backend, Known(options).Select(static factory => factory.Name).Distinct())
            : named.IsSupported(out string? reason) ? null
            : Messages.UnsupportedBackend(setting, options.Backend, reason);
    }

    /// <summary>The backend for options that are valid.</summary>
    public static INetpollFactory Choose(PollerOptions options, ILogger logger)
    {
        if (!IsAuto(options)) return Named(options)!;
        INetpollFactory[] candidates = [.. Candidates(options)];
        string names = string.Join(", ", candidates.Select(static candidate => candidate.Name));
        foreach (INetpollFactory candidate in candidates)
        {
            string name = candidate.Name;
            if (candidate.IsSupported(out string? reason))
            {
                LogChosen(logger, name, names);
                return candidate;
            }
            LogPassedOver(logger, name, reason);
        }
        throw new InvalidOperationException("The options were not validated: no backend works here.");
    }

    private static bool IsAuto(PollerOptions options) => IsName(PollerOptions.Auto, options);

    private static bool IsName(string name, PollerOptions options) => name.Equals(options.Backend, StringComparison.OrdinalIgnoreCase);

    private static IEnumerable<INetpollFactory> Candidates(PollerOptions options) => options.Backends.Concat(ByPreference).DistinctBy(static factory => factory.Name);

    private static IEnumerable<INetpollFactory> Known(PollerOptions options) => options.Backends.Concat(ByPreference).Concat(OnRequest);

    private static INetpollFactory? Named(PollerOptions options) => Known(options).FirstOrDefault(factory => IsName(factory.Name, options));

    [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "Backend auto: {Backend} it is, the first of {Candidates} that works here.")]
    private static partial void LogChosen(ILogger logger, string backend, string candidates);

    [LoggerMessage(EventId = 2, Level = LogLevel.Information, Message = "Backend auto: {Backend} was passed over: {Reason}.")]
    private static partial void LogPassedOver(ILogger logger, string backend, string reason);
}
