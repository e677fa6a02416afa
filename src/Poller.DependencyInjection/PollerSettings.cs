using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>
/// What stands above the options that code sets, in rising order: the builder, the configuration's section, the environment.
/// </summary>
internal sealed class PollerSettings(IServiceProvider services) : IPostConfigureOptions<PollerOptions>
{
    private const string Section = "Poller";
    private const string Variable = "POLLER_BACKEND";

    public void PostConfigure(string? name, PollerOptions options)
    {
        bool isDefault = name == Options.DefaultName;
        options.Backend = options.UsedBackend ?? options.Backend;
        if (services.GetService<IConfiguration>() is { } configuration)
        {
            Apply(configuration.GetSection(isDefault ? Section : $"{Section}:{name}"), options);
        }
        if (isDefault && Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } backend) SetBackend(options, Variable, backend);
    }

    private static void Apply(IConfigurationSection section, PollerOptions options)
    {
        options.UnknownSettings.AddRange(section.GetChildren()
            .Where(static setting => setting.Value is { Length: > 0 } && !Messages.Settings.Contains(setting.Key, StringComparer.OrdinalIgnoreCase))
            .Select(static setting => setting.Path));
        if (section.Value is { Length: > 0 } value) options.Failures.Add(Messages.Section(section.Path, value));
        Read(section.GetSection(nameof(options.Backend)), options, (setting, text) => SetBackend(options, setting, text));
        Read(section.GetSection(nameof(options.Dispatch)), options, (setting, text) =>
        {
            if (Enum.GetNames<NetpollDispatch>().Contains(text, StringComparer.OrdinalIgnoreCase))
            {
                options.Dispatch = Enum.Parse<NetpollDispatch>(text, ignoreCase: true);
            }
            else options.Failures.Add(Messages.Dispatch(setting, text));
        });
        Read(section.GetSection(nameof(options.Loops)), options, (setting, text) =>
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int loops))
            {
                options.Loops = loops;
                options.Note(nameof(options.Loops), setting, loops);
            }
            else options.Failures.Add(Messages.Loops(setting, text));
        });
    }

    // An empty value is none.
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
