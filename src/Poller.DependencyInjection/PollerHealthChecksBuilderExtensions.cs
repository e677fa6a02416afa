using Microsoft.Extensions.Diagnostics.HealthChecks;
using Poller.DependencyInjection;
using Poller.Net;

#pragma warning disable IDE0130 // Every AddX method is in this namespace, so that an app finds it without another using.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds the health of pollers to an app's health checks.</summary>
public static class PollerHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check of the poller that <c>AddPoller</c> or <c>AddKeyedPoller</c> has added. Each check sends a probe through every loop. A
    /// loop that has not run it within <paramref name="timeout"/> makes the poller degraded. A poller that is disposed, or a loop whose
    /// backend failed, has <paramref name="failureStatus"/>. A loop that sleeps is woken, and so is healthy.
    /// </summary>
    /// <param name="builder">The app's health checks.</param>
    /// <param name="name">The check's name. Null, the default, means <c>poller</c>, followed by the key if there is one.</param>
    /// <param name="key">The poller's key; null means the poller without a key.</param>
    /// <param name="failureStatus">The status of a poller that has failed. Null, the default, means unhealthy.</param>
    /// <param name="tags">The check's tags; may be null.</param>
    /// <param name="timeout">How long a loop may take. Null, the default, means 1 s.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="timeout"/> is not above zero, or is more than 24 days.</exception>
    public static IHealthChecksBuilder AddPollerHealthCheck(
        this IHealthChecksBuilder builder,
        string? name = null,
        object? key = null,
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        TimeSpan time = timeout ?? TimeSpan.FromSeconds(1);
        if (time <= TimeSpan.Zero || time > TimeSpan.FromMilliseconds(int.MaxValue))
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "a time above zero and up to 24 days was expected.");
        }
        return builder.Add(new HealthCheckRegistration(
            name ?? (key is null ? "poller" : $"poller {key}"),
            services => new PollerHealthCheck(
                key is null ? services.GetRequiredService<Netpoller>() : services.GetRequiredKeyedService<Netpoller>(key), time),
            failureStatus,
            tags));
    }
}
