using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>Finds a listener's invalid options before it binds. An address is parsed when it is bound.</summary>
internal sealed class NetListenerOptionsValidator(IServiceProviderIsKeyedService services) : IValidateOptions<NetListenerOptions>
{
    private static readonly string[] Networks = ["tcp", "tcp4", "tcp6", "unix", "unixpacket"];

    public ValidateOptionsResult Validate(string? name, NetListenerOptions options)
    {
        List<string> failures = [];
        if (string.IsNullOrEmpty(options.Name)) failures.Add("Name \"\": a name that is not empty was expected.");
        if (!Networks.Contains(options.Network)) failures.Add(Messages.Network(Of(nameof(options.Network)), options.Network, Networks));
        if (options.Address is null) failures.Add($"{Of(nameof(options.Address))}: an address was expected; it is null.");
        if (options.Listen is null) failures.Add($"{Of(nameof(options.Listen))}: options were expected; it is null.");
        if (options.PollerKey is { } key && !services.IsKeyedService(typeof(NetStack), key))
        {
            failures.Add($"{Messages.NoPoller($"{Of(nameof(options.PollerKey))} \"{key}\"")}.");
        }
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        string Of(string option) => Messages.OptionOf(option, options.Name);
    }
}
