using System.Globalization;

namespace Poller.Interleaving.Tests;

/// <summary>
/// The text of a schedule: <c>14:1 20:2</c> takes option 1 at decision 14, option 2 at decision 20, and option 0 everywhere else.
/// </summary>
internal static class Schedule
{
    public static string Format(ReadOnlySpan<byte> options)
    {
        List<string> taken = [];
        for (int i = 0; i < options.Length; i++)
        {
            if (options[i] != 0) taken.Add(string.Create(CultureInfo.InvariantCulture, $"{i}:{options[i]}"));
        }
        return string.Join(' ', taken);
    }

    public static byte[] Parse(string text)
    {
        List<byte> options = [];
        foreach (string taken in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = taken.Split(':');
            if (parts.Length != 2
                || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int decision)
                || !byte.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out byte option)
                || decision < options.Count)
            {
                throw new FormatException($"\"{taken}\" in the schedule \"{text}\": decision:option was expected, by rising decision.");
            }
            while (options.Count < decision) options.Add(0);
            options.Add(option);
        }
        return [.. options];
    }
}
