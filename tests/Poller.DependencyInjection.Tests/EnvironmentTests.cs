using Microsoft.Extensions.DependencyInjection;

namespace Poller.DependencyInjection.Tests;

/// <summary>The environment variable, which is the process's own: these tests and those that would see it run one after another.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed class EnvironmentTests : IDisposable
{
    private const string Variable = "POLLER_BACKEND";

    private readonly string? _before = Environment.GetEnvironmentVariable(Variable);

    public void Dispose() => Environment.SetEnvironmentVariable(Variable, _before);

    [Fact]
    public void The_environment_names_the_backend_over_all_else()
    {
        Environment.SetEnvironmentVariable(Variable, "epoll-level");
        Assert.Equal(
            "epoll-level",
            Services.With(s => s.AddSettings(("Poller:Backend", "epoll")).AddPoller(o => o.Backend = "epoll").UsePosix()).Backend());
    }

    [Fact]
    public void The_environment_may_ask_for_auto()
    {
        Environment.SetEnvironmentVariable(Variable, "auto");
        Assert.Equal("epoll", Services.With(s => s.AddPoller(o => o.Backend = "posix")).Backend());
    }

    [Fact]
    public void An_empty_variable_is_none()
    {
        Environment.SetEnvironmentVariable(Variable, "");
        Assert.Equal("posix", Services.With(s => s.AddPoller().UsePosix()).Backend());
    }

    [Fact]
    public void The_environment_is_not_for_a_keyed_poller()
    {
        Environment.SetEnvironmentVariable(Variable, "epoll-level");
        Assert.Equal("posix", KeyedTests.Backend(Services.With(s => s.AddKeyedPoller("a").UsePosix()), "a"));
    }

    [Fact]
    public void A_variable_that_names_no_backend_is_named_in_the_error()
    {
        Environment.SetEnvironmentVariable(Variable, "eqoll");
        ValidationTests.AssertFails(
            Services.With(s => s.AddPoller()),
            "POLLER_BACKEND \"eqoll\": auto, epoll, epoll-level, kqueue or posix was expected.");
    }
}
