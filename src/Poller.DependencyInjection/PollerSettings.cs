using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>
/// Applies what overrides the options that code sets: first the builder, then the configuration's section, then the environment.
/// </summary>
internal sealed class PollerSettings(IServiceProvider services) : IPostConfigureOptions<PollerOptions>
{
    /// <summary>The configuration section of the poller without a key.</summary>
    public const string Section = "Poller";

    /// <summary>The section within it that holds the keyed pollers' sections, each under its key.</summary>
    public const string Keyed = "Keyed";

    private const string Variable = "POLLER_BACKEND";

    private static readonly string[] Settings =
    [
        nameof(PollerOptions.Backend),
        nameof(PollerOptions.Dispatch),
        nameof(PollerOptions.Loops),
        nameof(PollerOptions.MaxBlockedHandlers),
    ];

    public void PostConfigure(string? name, PollerOptions options)
    {
        if (options.Registration is not { } registration) return;
        options.Backend = options.UsedBackend ?? options.Backend;
        if (registration.Section is { } section && services.GetService<IConfiguration>() is { } configuration)
        {
            Apply(configuration.GetSection(section), options);
            if (registration.Key is null) WarnOfUnusedSections(configuration.GetSection(section), options);
        }
        if (registration.Key is null && Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } backend)
        {
            SetBackend(options, Variable, backend);
        }
    }

    private static void Apply(IConfigurationSection section, PollerOptions options)
    {
        bool isKeyed = options.Registration!.Key is not null;
        string[] settings = isKeyed ? Settings : [.. Settings, Keyed];
        if (section.Value is { Length: > 0 } value) options.Failures.Add(Messages.Section(section.Path, value, settings));
        options.Warnings.AddRange(
            from setting in section.GetChildren()
            where setting.Value is { Length: > 0 } || setting.GetChildren().Any()
            where !settings.Contains(setting.Key, StringComparer.OrdinalIgnoreCase)
            select Messages.Unknown(setting.Path, settings));
        Read(section.GetSection(nameof(options.Backend)), options, (setting, text) => SetBackend(options, setting, text));
        Read(section.GetSection(nameof(options.Dispatch)), options, (setting, text) =>
        {
            if (Enum.GetNames<NetpollDispatch>().Contains(text, StringComparer.OrdinalIgnoreCase))
            {
                options.Dispatch = Enum.Parse<NetpollDispatch>(text, ignoreCase: true);
            }
            else options.Failures.Add(Messages.Dispatch(setting, text));
        });
        Count(nameof(options.Loops), Messages.MaxLoops, count => options.Loops = count);
        Count(nameof(options.MaxBlockedHandlers), Messages.MaxMaxBlockedHandlers, count => options.MaxBlockedHandlers = count);

        void Count(string option, int most, Action<int> set) => Read(section.GetSection(option), options, (setting, text) =>
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count))
            {
                set(count);
                options.Note(option, setting, count);
            }
            else options.Failures.Add(Messages.Count(setting, text, most));
        });
    }

    // Warns of sections under Poller:Keyed that belong to no poller.
    private void WarnOfUnusedSections(IConfigurationSection section, PollerOptions options)
    {
        HashSet<string?> ours = services.GetServices<PollerRegistration>()
            .Select(static registration => registration.Section)
            .ToHashSet(StringComparer.OrdinalIgnoreCase);
        options.Warnings.AddRange(
            from keyed in section.GetSection(Keyed).GetChildren()
            where !ours.Contains(keyed.Path)
            select Messages.NoPoller(keyed.Path));
    }

    // An empty value has no effect.
    private static void Read(IConfigurationSection setting, PollerOptions options, Action<string, string> apply)
    {
        if (setting.Value is { Length: > 0 } text) apply(setting.Path, text);
        else if (setting.GetChildren().Any()) options.Failures.Add(Messages.NotOneValue(setting.Path));
    }

    private static void SetBackend(PollerOptions options, string setting, string name)
    {
        options.Backend = name;
        options.Note(nameof(options.Backend), setting, name);
    }
}
