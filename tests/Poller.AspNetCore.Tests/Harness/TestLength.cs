namespace Poller.AspNetCore.Tests;

/// <summary>
/// How much a test does. A test of the trait Tests=long does more if the environment variable POLLER_TESTS is "long"; .ci/run sets it for
/// them.
/// </summary>
internal static class TestLength
{
    public static bool IsLong { get; } = Environment.GetEnvironmentVariable("POLLER_TESTS") == "long";
}
