using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>What stands above the code: the configuration's section, and above that the environment variable.</summary>
internal sealed class PollerSettings(IServiceProvider services) : IPostConfigureOptions<PollerOptions>
{
    private const string Section = "Poller";
    private const string Variable = "POLLER_BACKEND";

    public void PostConfigure(string? name, PollerOptions options)
    {
        bool isDefault = name == Options.DefaultName;
        string section = isDefault ? Section : $"{Section}:{name}";
        if (services.GetService<IConfiguration>() is { } configuration) Apply(configuration, section, options);
        if (isDefault && Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } backend) options.SetBackend(backend, Variable);
    }

    private static void Apply(IConfiguration configuration, string section, PollerOptions options)
    {
        List<string> failures = [];
        Read(nameof(options.Backend), text => options.SetBackend(text, $"{section}:{nameof(options.Backend)}"));
        Read(nameof(options.Dispatch), text =>
        {
            if (Enum.GetNames<NetpollDispatch>().Contains(text, StringComparer.OrdinalIgnoreCase)) options.Dispatch = Enum.Parse<NetpollDispatch>(text, ignoreCase: true);
            else failures.Add(Messages.Dispatch($"{section}:{nameof(options.Dispatch)}", text));
        });
        Read(nameof(options.Loops), text =>
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int loops)) options.Loops = loops;
            else failures.Add(Messages.Loops($"{section}:{nameof(options.Loops)}", text));
        });
        if (failures.Count > 0) throw new OptionsValidationException(section, typeof(PollerOptions), failures);

        void Read(string key, Action<string> apply)
        {
            if (configuration[$"{section}:{key}"] is { Length: > 0 } text) apply(text);
        }
    }
}
