using System.Globalization;

namespace Poller.Tests.Shared;

/// <summary>The seed of a randomized test: another one each run, or the one in POLLER_SEED, to replay a failure.</summary>
internal static class Seed
{
    public static int Next() => Environment.GetEnvironmentVariable("POLLER_SEED") is { Length: > 0 } text
        ? int.Parse(text, CultureInfo.InvariantCulture)
        : Random.Shared.Next();
}
