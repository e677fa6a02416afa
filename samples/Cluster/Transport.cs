using Microsoft.Extensions.DependencyInjection;
using Poller.DependencyInjection;
using Poller.Net;

namespace Cluster;

/// <summary>What carries the messages: PollerKit over a backend, or Orleans's own sockets, which a null backend means.</summary>
internal sealed record Transport(string? Backend, NetpollDispatch Dispatch)
{
    public static Transport Sockets { get; } = new(null, NetpollDispatch.Adaptive);

    public string Name => Backend is null ? "sockets" : "poller";

    public string DispatchName => Dispatch.ToString().ToLowerInvariant();

    public void AddTo(IServiceCollection services)
    {
        if (Backend is null) return;
        services.UsePoller();
        services.Configure<PollerOptions>(options => (options.Backend, options.Dispatch) = (Backend, Dispatch));
    }

    public override string ToString() => Backend is null ? "Orleans's own sockets" : $"PollerKit over {Backend}, {DispatchName} dispatch";
}
