using System.Collections.ObjectModel;
using Microsoft.Extensions.DependencyInjection;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>The options of a poller that <c>AddPoller</c> adds: see <see cref="PollerServiceCollectionExtensions"/>.</summary>
/// <remarks>They are read once, when the poller is created. A later change has no effect.</remarks>
public sealed class PollerOptions
{
    /// <summary>The value of <see cref="Backend"/> that chooses the best backend which works on this machine.</summary>
    public const string Auto = "auto";

    private readonly Dictionary<string, (string Setting, object Value)> _settings = [];

    /// <summary>
    /// The backend's name: the name of one of <see cref="Factories"/>, <c>epoll</c>, <c>epoll-level</c>, <c>kqueue</c>, <c>posix</c>, or
    /// <see cref="Auto"/>. Upper and lower case are the same. The default is <see cref="Auto"/>, which chooses the first of
    /// <see cref="Factories"/>, <c>epoll</c>, <c>kqueue</c> and <c>posix</c> that works on this machine.
    /// </summary>
    public string Backend { get; set; } = Auto;

    /// <summary>Where continuations run. The default is <see cref="NetpollDispatch.Adaptive"/>.</summary>
    public NetpollDispatch Dispatch { get; set; } = NetpollDispatch.Adaptive;

    /// <summary>The number of loops, 1 to 1,024. The default is 1.</summary>
    public int Loops { get; set; } = 1;

    /// <summary>
    /// How many handlers of a loop may block or compute at once in adaptive dispatch, 1 to 32,767. The default is 1,024.
    /// <see cref="NetpollerOptions.MaxBlockedHandlers"/> says what happens beyond it, and what it costs.
    /// </summary>
    public int MaxBlockedHandlers { get; set; } = 1024;

    /// <summary>
    /// Factories of backends that are not PollerKit's own. A factory that has the name of one of PollerKit's backends replaces it. You own
    /// the factories that you add here; the services own those that <see cref="PollerBuilder.AddFactory{TFactory}"/> adds. Adding null
    /// throws <see cref="ArgumentNullException"/>.
    /// </summary>
    public IList<INetpollFactory> Factories { get; } = new FactoryList();

    /// <summary>The poller that has these options; null if no <c>AddPoller</c> call has their name.</summary>
    internal PollerRegistration? Registration { get; set; }

    /// <summary>The builder's choice, which overrides <see cref="Backend"/>.</summary>
    internal string? UsedBackend { get; set; }

    /// <summary>Messages about settings whose text is not a valid value.</summary>
    internal List<string> Failures { get; } = [];

    /// <summary>Messages about settings that have no effect.</summary>
    internal List<string> Warnings { get; } = [];

    /// <summary>Notes the setting that gave an option its value.</summary>
    internal void Note(string option, string setting, object value) => _settings[option] = (setting, value);

    /// <summary>An option's name in a message: the setting that gave it its value, or the option itself if code set it.</summary>
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
