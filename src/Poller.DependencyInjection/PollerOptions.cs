using System.Collections.ObjectModel;
using Microsoft.Extensions.DependencyInjection;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>How the poller is made that <c>AddPoller</c> adds: see <see cref="PollerServiceCollectionExtensions"/>.</summary>
/// <remarks>Read once, when the poller is made: a change after that has no effect.</remarks>
public sealed class PollerOptions
{
    /// <summary>The <see cref="Backend"/> that stands for the best one that works here.</summary>
    public const string Auto = "auto";

    private readonly Dictionary<string, (string Setting, object Value)> _settings = [];

    /// <summary>
    /// The backend's name, in any case: that of one of <see cref="Factories"/>, <c>epoll</c>, <c>epoll-level</c>, <c>kqueue</c>,
    /// <c>posix</c>, or <see cref="Auto"/>, the default: the first of <see cref="Factories"/>, <c>epoll</c>, <c>kqueue</c> and
    /// <c>posix</c> that works here.
    /// </summary>
    public string Backend { get; set; } = Auto;

    /// <summary>Where continuations run. Default <see cref="NetpollDispatch.Adaptive"/>.</summary>
    public NetpollDispatch Dispatch { get; set; } = NetpollDispatch.Adaptive;

    /// <summary>How many loops poll, 1 to 1024. Default 1.</summary>
    public int Loops { get; set; } = 1;

    /// <summary>
    /// How many handlers of a loop may block or compute at once in adaptive dispatch, 1 to 32,767. Default 1,024.
    /// <see cref="NetpollerOptions.MaxBlockedHandlers"/> says what happens beyond it, and what it costs.
    /// </summary>
    public int MaxBlockedHandlers { get; set; } = 1024;

    /// <summary>
    /// Factories of other backends than PollerKit's own. One with the name of PollerKit's takes its place. Neither the options nor the
    /// services own them, except for those of <see cref="PollerBuilder.AddFactory{TFactory}"/>, which the services made. Null is refused:
    /// <see cref="ArgumentNullException"/>.
    /// </summary>
    public IList<INetpollFactory> Factories { get; } = new FactoryList();

    /// <summary>Whose options these are; null when no <c>AddPoller</c> has their name.</summary>
    internal PollerRegistration? Registration { get; set; }

    /// <summary>The builder's choice, which stands above <see cref="Backend"/>.</summary>
    internal string? UsedBackend { get; set; }

    /// <summary>What is wrong with settings that are no value of their option.</summary>
    internal List<string> Failures { get; } = [];

    /// <summary>What is said of settings that have no effect.</summary>
    internal List<string> Warnings { get; } = [];

    /// <summary>Notes which setting an option has its value from.</summary>
    internal void Note(string option, string setting, object value) => _settings[option] = (setting, value);

    /// <summary>What to call an option in a message: the setting that it has its value from, or itself where code set it.</summary>
    internal string NameOf(string option, object? value)
    {
        if (_settings.TryGetValue(option, out (string Setting, object Value) noted) && noted.Value.Equals(value)) return noted.Setting;
        return Registration?.Key is { } key ? $"{option} of poller \"{key}\"" : option;
    }

    private sealed class FactoryList : Collection<INetpollFactory>
    {
        protected override void InsertItem(int index, INetpollFactory item)
        {
            ArgumentNullException.ThrowIfNull(item);
            base.InsertItem(index, item);
        }

        protected override void SetItem(int index, INetpollFactory item)
        {
            ArgumentNullException.ThrowIfNull(item);
            base.SetItem(index, item);
        }
    }
}
