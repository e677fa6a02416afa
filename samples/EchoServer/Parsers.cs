using System.CommandLine.Parsing;
using System.Globalization;

namespace EchoServer;

/// <summary>Turns the text of options into values. Each error names the text and what was expected.</summary>
internal static class Parsers
{
    public static ListenAddress? Listen(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string network = colon < 0 ? "" : text[..colon];
        if (network is "tcp" or "tcp4" or "tcp6") return new ListenAddress(network, text[(colon + 1)..]);
        result.AddError(colon < 0
            ? $"--listen \"{text}\": network:host:port was expected, like tcp:127.0.0.1:8888."
            : network.Length == 0
            ? $"--listen \"{text}\": no network; network:host:port was expected, like tcp::8888."
            : $"--listen \"{text}\": unknown network \"{network}\"; network:host:port was expected, like tcp:127.0.0.1:8888, with tcp, tcp4 or tcp6.");
        return null;
    }

    public static Func<ArgumentResult, string> OneOf(string option, params string[] names) => result =>
    {
        string text = result.Tokens[0].Value;
        if (!names.Contains(text)) result.AddError($"{option} \"{text}\": {string.Join(", ", names[..^1])} or {names[^1]} was expected.");
        return text;
    };

    public static Func<ArgumentResult, int> Integer(string option, int least, int most) => result =>
    {
        string text = result.Tokens[0].Value;
        bool parsed = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value);
        if (parsed && value >= least && value <= most) return value;
        result.AddError($"{option} \"{text}\": a whole number from {least} to {most} was expected.");
        return least;
    };

    public static Func<ArgumentResult, double> Seconds(string option) => result =>
    {
        const double Day = 86_400;
        string text = result.Tokens[0].Value;
        bool parsed = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value);
        if (parsed && value is >= 0.001 and <= Day) return value;
        result.AddError($"{option} \"{text}\": seconds from 0.001 to {Day} were expected.");
        return 0;
    };
}
