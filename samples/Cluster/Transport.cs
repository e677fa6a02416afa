using Microsoft.Extensions.DependencyInjection;
using Poller.DependencyInjection;

namespace Cluster;

/// <summary>What carries the messages: PollerKit over a backend, or Orleans's own sockets, which a null backend means.</summary>
internal sealed record Transport(string? Backend)
{
    public static Transport Sockets { get; } = new((string?)null);

    public string Name => Backend is null ? "sockets" : "poller";

    public void AddTo(IServiceCollection services)
    {
        if (Backend is null) return;
        services.UsePoller();
        services.Configure<PollerOptions>(options => options.Backend = Backend);
    }

    public override string ToString() => Backend is null ? "Orleans's own sockets" : $"PollerKit over {Backend}";
}
