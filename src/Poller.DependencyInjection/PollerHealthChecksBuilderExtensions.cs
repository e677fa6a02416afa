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
    /// loop that has not run it within <paramref name="patience"/> makes the poller degraded. A poller that is disposed, or a loop whose
    /// backend failed, makes it unhealthy. A loop that sleeps is woken, and so is healthy.
    /// </summary>
    /// <param name="builder">The app's health checks.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="key">The poller's key; null means the poller without a key.</param>
    /// <param name="patience">How long a loop may take. Null, the default, means 1 s.</param>
    /// <param name="tags">The check's tags; may be null.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="patience"/> is not above zero, or is more than 24 days.</exception>
    public static IHealthChecksBuilder AddPollerHealthCheck(
        this IHealthChecksBuilder builder,
        string name = "poller",
        object? key = null,
        TimeSpan? patience = null,
        IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        TimeSpan time = patience ?? TimeSpan.FromSeconds(1);
        if (time <= TimeSpan.Zero || time > TimeSpan.FromMilliseconds(int.MaxValue))
        {
            throw new ArgumentOutOfRangeException(nameof(patience), patience, "a time above zero and up to 24 days was expected.");
        }
        return builder.Add(new HealthCheckRegistration(
            name,
            services => new PollerHealthCheck(
                key is null ? services.GetRequiredService<Netpoller>() : services.GetRequiredKeyedService<Netpoller>(key), time),
            failureStatus: null,
            tags));
    }
}
