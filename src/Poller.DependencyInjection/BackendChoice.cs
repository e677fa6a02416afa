using Poller.Abstractions;
using Poller.Epoll;
using Poller.Kqueue;
using Poller.Posix;

namespace Poller.DependencyInjection;

/// <summary>
/// Finds the factory for a backend's name. Only this type knows all of PollerKit's backends. <see cref="NetpollFactory"/>, the validation
/// of the options and the services choose through it.
/// </summary>
internal sealed class BackendChoice
{
    // Auto never chooses it: wherever it works, epoll works too, and takes fewer system calls.
    private static readonly INetpollFactory EpollLevel = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });

    // In the order in which auto tries them: the best one is first.
    private static readonly INetpollFactory[] Ours =
        [new EpollNetpollFactory(), EpollLevel, new KqueueNetpollFactory(), new PosixNetpollFactory()];

    private readonly List<(string Name, string Reason)> _passedOver = [];

    /// <summary>Chooses among the <paramref name="added"/> factories first, and then among PollerKit's own.</summary>
    public BackendChoice(string? backend, IEnumerable<INetpollFactory> added)
    {
        List<INetpollFactory> known = [.. added, .. Ours];
        IsAuto = HasName(PollerOptions.Auto);
        Known = [PollerOptions.Auto, .. known.Select(static factory => factory.Name).Distinct()];
        IEnumerable<INetpollFactory> candidates = IsAuto
            ? known.Where(static factory => factory != EpollLevel).DistinctBy(static factory => factory.Name)
            : known.Where(factory => HasName(factory.Name)).Take(1);
        Candidates = [.. candidates.Select(static factory => factory.Name)];
        foreach (INetpollFactory candidate in candidates)
        {
            if (candidate.IsSupported(out string? reason))
            {
                Factory = candidate;
                return;
            }
            _passedOver.Add((candidate.Name, reason));
        }

        bool HasName(string name) => name.Equals(backend, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The factory; null if there is none, and then <see cref="WhyNot"/> says why.</summary>
    public INetpollFactory? Factory { get; }

    public bool IsAuto { get; }

    /// <summary>Whether any backend has the name.</summary>
    public bool IsKnown => Candidates.Length > 0;

    /// <summary>Every name that a user may give.</summary>
    public string[] Known { get; }

    /// <summary>The names of the backends that it tried, or would have tried next; the best first.</summary>
    public string[] Candidates { get; }

    /// <summary>The candidates that do not work on this machine, and why.</summary>
    public IReadOnlyList<(string Name, string Reason)> PassedOver => _passedOver;

    /// <summary>Why there is no factory; null if there is one. The phrase can follow the name and a colon.</summary>
    public string? WhyNot => Factory is not null ? null
        : !IsKnown ? $"{Messages.OneOf(Known)} was expected"
        : !IsAuto ? _passedOver[0].Reason
        : $"none works here; {string.Join("; ", _passedOver.Select(static passed => $"{passed.Name}: {passed.Reason}"))}";
}
