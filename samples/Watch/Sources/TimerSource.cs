using System.Buffers.Binary;
using System.Globalization;
using System.Text.RegularExpressions;
using Poller.Net;

namespace Watch.Sources;

/// <summary>A timer that fires again and again: timerfd_create(2).</summary>
internal sealed partial class TimerSource(PolledFile file) : Source(file)
{
    [GeneratedRegex(@"^(?<number>\d{1,7})(?<unit>ms|s|m|h)$", RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();

    public static Source Open(Netpoller poller, string text)
    {
        Match match = Grammar().Match(text);
        int number = match.Success ? int.Parse(match.Groups["number"].ValueSpan, CultureInfo.InvariantCulture) : 0;
        TimeSpan period = match.Groups["unit"].Value switch
        {
            "ms" => TimeSpan.FromMilliseconds(number),
            "s" => TimeSpan.FromSeconds(number),
            "m" => TimeSpan.FromMinutes(number),
            _ => TimeSpan.FromHours(number),
        };
        if (period == TimeSpan.Zero) throw new FormatException($"\"{text}\" is no such time");
        return new TimerSource(Poll(poller, LibC.OpenTimer(period)));
    }

    public override async IAsyncEnumerable<string> EventsAsync()
    {
        byte[] buffer = new byte[sizeof(ulong)];
        for (long all = 0; ;)
        {
            // A read returns how often it has fired since the last one: more than once if the loop, or the output, was held up.
            await File.ReadAsync(buffer);
            long expirations = BinaryPrimitives.ReadInt64LittleEndian(buffer);
            all += expirations;
            yield return $"{Count(expirations, "expiration")}, {all} in all";
        }
    }
}
