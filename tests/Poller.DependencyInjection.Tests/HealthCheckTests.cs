using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>The health of pollers that are services.</summary>
public sealed class HealthCheckTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(20);

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_poller_whose_loops_sleep_is_healthy(NetpollDispatch dispatch)
    {
        await using ServiceProvider services = Build(dispatch, Patience);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(services)).Status);
        using TcpConnListener listener = services.GetRequiredService<NetStack>().ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        HealthReportEntry entry = await CheckAsync(services);
        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.EndsWith(" ms", (string)entry.Data["loop 0"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_poller_whose_loop_does_not_respond_is_degraded()
    {
        await using ServiceProvider services = Build(NetpollDispatch.Inline, Short);
        using ManualResetEventSlim release = new();
        using TcpConnListener listener = services.GetRequiredService<NetStack>().ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task handler = BlockAsync();
        using System.Net.Sockets.TcpClient client = new();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndPoint);
        await entered.Task.WaitAsync(Patience);
        HealthReportEntry entry = await CheckAsync(services);
        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.Contains("does not respond: loop 0 for ", entry.Description, StringComparison.Ordinal);
        release.Set();
        await handler.WaitAsync(Patience);

        async Task BlockAsync()
        {
            using TcpConn conn = await listener.AcceptTcpAsync().ConfigureAwait(false);
            entered.SetResult();
            release.Wait();
        }
    }

    [Fact]
    public async Task A_poller_that_is_disposed_is_unhealthy()
    {
        await using ServiceProvider services = Build(NetpollDispatch.Adaptive, Patience);
        services.GetRequiredService<Netpoller>().Dispose();
        HealthReportEntry entry = await CheckAsync(services);
        Assert.Equal(HealthStatus.Unhealthy, entry.Status);
        Assert.Contains("is disposed", entry.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, HealthStatus.Unhealthy)]
    [InlineData(HealthStatus.Degraded, HealthStatus.Degraded)]
    public async Task A_poller_whose_loop_has_ended_has_the_failure_status(HealthStatus? failureStatus, HealthStatus expected)
    {
        using BreakingFactory factory = new();
        ServiceCollection services = new();
        services.AddLogging();
        services.AddPoller(options => options.Factories.Add(factory));
        services.AddHealthChecks().AddPollerHealthCheck(failureStatus: failureStatus, timeout: Patience);
        await using ServiceProvider provider = services.BuildServiceProvider();
        using TcpConnListener listener = provider.GetRequiredService<NetStack>().ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        factory.Break();
        HealthReportEntry entry;
        do entry = await CheckAsync(provider);
        while (entry.Status == HealthStatus.Healthy); // The loop has not polled since.
        Assert.Equal(expected, entry.Status);
        Assert.StartsWith("loop 0 of poller breaking has ended: poll: ", entry.Description, StringComparison.Ordinal);
        Assert.IsType<NetpollException>(entry.Exception);
    }

    [Fact]
    public async Task A_keyed_poller_has_a_check_of_its_own()
    {
        ServiceCollection services = new();
        services.AddLogging();
        services.AddPoller();
        services.AddKeyedPoller("second");
        services.AddHealthChecks()
            .AddPollerHealthCheck()
            .AddPollerHealthCheck(key: "second", failureStatus: HealthStatus.Degraded, tags: ["live"]);
        await using ServiceProvider provider = services.BuildServiceProvider();
        provider.GetRequiredKeyedService<Netpoller>("second").Dispose();
        HealthReport report = await provider.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Healthy, report.Entries["poller"].Status);
        Assert.Equal(HealthStatus.Degraded, report.Entries["poller second"].Status);
        Assert.Equal(["live"], report.Entries["poller second"].Tags);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_timeout_that_is_not_above_zero_is_refused(int milliseconds)
    {
        IHealthChecksBuilder builder = new ServiceCollection().AddHealthChecks();
        Assert.Throws<ArgumentOutOfRangeException>(
            "timeout", () => builder.AddPollerHealthCheck(timeout: TimeSpan.FromMilliseconds(milliseconds)));
    }

    private static ServiceProvider Build(NetpollDispatch dispatch, TimeSpan timeout)
    {
        ServiceCollection services = new();
        services.AddLogging();
        services.AddPoller(options => options.Dispatch = dispatch);
        services.AddHealthChecks().AddPollerHealthCheck(timeout: timeout);
        return services.BuildServiceProvider();
    }

    private static async Task<HealthReportEntry> CheckAsync(ServiceProvider services) =>
        (await services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["poller"];
}
