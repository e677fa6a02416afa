using Microsoft.Extensions.Diagnostics.HealthChecks;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>Whether the loops of a poller respond.</summary>
internal sealed class PollerHealthCheck(Netpoller poller, TimeSpan timeout) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        IReadOnlyList<LoopProbe> probes;
        try
        {
            probes = await poller.ProbeAsync(timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException e)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, $"poller {poller.Name} is disposed.", e);
        }
        Dictionary<string, object> data = probes.ToDictionary(
            static probe => $"loop {probe.Loop}", static probe => (object)$"{probe.Elapsed.TotalMilliseconds:F1} ms");
        LoopProbe failed = probes.FirstOrDefault(static probe => probe.Failure is not null);
        if (failed.Failure is { } failure)
        {
            string ended = $"loop {failed.Loop} of poller {poller.Name} has ended: {failure.Message}";
            return new HealthCheckResult(context.Registration.FailureStatus, ended, failure, data);
        }
        LoopProbe[] slow = [.. probes.Where(static probe => !probe.Responded)];
        if (slow.Length == 0) return HealthCheckResult.Healthy($"all {probes.Count} loops of poller {poller.Name} respond.", data);
        string late = string.Join(", ", slow.Select(static probe => $"loop {probe.Loop} for {probe.Elapsed.TotalMilliseconds:F0} ms"));
        return HealthCheckResult.Degraded($"poller {poller.Name} does not respond: {late}.", data: data);
    }
}
