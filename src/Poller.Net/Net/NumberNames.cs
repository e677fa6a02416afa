using System.Globalization;

namespace Poller.Net;

// The twin of the maps services and protocols in Go's net/lookup.go, and of readServices and readProtocols in net/port_unix.go and
// net/lookup_unix.go. The names of the small tables work where the system has no files. Case does not matter.

/// <summary>The numbers that have names: the ports of services, and the protocols over IP. Safe from any thread.</summary>
internal static class NumberNames
{
    // The key is the protocol and the name: tcp/http.
    private static readonly (string Name, int Number)[] WellKnownServices =
    [
        ("udp/domain", 53),
        ("tcp/domain", 53),
        ("tcp/ftp", 21),
        ("tcp/ftps", 990),
        ("tcp/gopher", 70),
        ("tcp/http", 80),
        ("tcp/https", 443),
        ("tcp/imap2", 143),
        ("tcp/imap3", 220),
        ("tcp/imaps", 993),
        ("tcp/pop3", 110),
        ("tcp/pop3s", 995),
        ("tcp/smtp", 25),
        ("tcp/submissions", 465),
        ("tcp/ssh", 22),
        ("tcp/telnet", 23),
    ];

    private static readonly (string Name, int Number)[] WellKnownProtocols =
        [("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58)];

    // Each file is read once, when a name is first asked for.
    private static readonly Lazy<Dictionary<string, int>> Services = new(static () => ReadServices(LinesOf("/etc/services")));
    private static readonly Lazy<Dictionary<string, int>> Protocols = new(static () => ReadProtocols(LinesOf("/etc/protocols")));

    /// <summary>The port of a service of <paramref name="protocol"/>, which is <c>tcp</c> or <c>udp</c>.</summary>
    public static bool TryFindService(string protocol, string name, out int port) => TryFind(Services, $"{protocol}/{name}", out port);

    /// <summary>The number of a protocol over IP.</summary>
    public static bool TryFindProtocol(string name, out int number) => TryFind(Protocols, name, out number);

    /// <summary>Reads services(5). A line of the file overrules the small table, as in Go.</summary>
    internal static Dictionary<string, int> ReadServices(IEnumerable<string> lines)
    {
        Dictionary<string, int> names = TableOf(WellKnownServices);
        foreach (string[] fields in lines.Select(FieldsOf))
        {
            if (fields.Length < 2 || fields[1].Split('/') is not [var number, var protocol]) continue;
            if (!TryReadNumber(number, ushort.MaxValue, out int port) || port == 0) continue;
            foreach (string name in fields.Where(static (_, i) => i != 1)) names[$"{protocol}/{name}"] = port;
        }
        return names;
    }

    /// <summary>Reads protocols(5). The small table overrules the file, as in Go.</summary>
    internal static Dictionary<string, int> ReadProtocols(IEnumerable<string> lines)
    {
        Dictionary<string, int> names = TableOf(WellKnownProtocols);
        foreach (string[] fields in lines.Select(FieldsOf))
        {
            if (fields.Length < 2 || !TryReadNumber(fields[1], byte.MaxValue, out int number)) continue;
            foreach (string name in fields.Where(static (_, i) => i != 1)) names.TryAdd(name, number);
        }
        return names;
    }

    /// <summary>Reads a decimal number without a sign, from 0 to <paramref name="max"/>.</summary>
    public static bool TryReadNumber(string text, int max, out int number)
    {
        number = 0;

        // int.Parse skips NULs at the end.
        return text.Length > 0 && text.All(char.IsAsciiDigit)
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= max;
    }

    // Only ASCII: ignoring case must not make another letter equal to one of a name.
    private static bool TryFind(Lazy<Dictionary<string, int>> names, string name, out int number)
    {
        number = 0;
        return name.All(static c => c is > ' ' and <= '~') && names.Value.TryGetValue(name, out number);
    }

    private static Dictionary<string, int> TableOf((string Name, int Number)[] names) =>
        names.ToDictionary(static n => n.Name, static n => n.Number, StringComparer.OrdinalIgnoreCase);

    private static string[] FieldsOf(string line) =>
        line.Split('#')[0].Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);

    private static string[] LinesOf(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return []; // Some systems and sandboxes have no such file.
        }
    }
}
