using System.CommandLine.Parsing;
using System.Globalization;
using Poller.Net;

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
            ? $"--listen \"{text}\": network:host:port was expected, as tcp:127.0.0.1:8888."
            : $"--listen \"{text}\": unknown network \"{network}\"; tcp, tcp4 or tcp6 was expected.");
        return null;
    }

    public static Func<ArgumentResult, string> OneOf(string option, params string[] names) => result =>
    {
        string text = result.Tokens[0].Value;
        if (!names.Contains(text)) result.AddError($"{option} \"{text}\": {string.Join(" or ", names)} was expected.");
        return text;
    };

    public static NetpollDispatch Dispatch(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        switch (text)
        {
            case "adaptive": return NetpollDispatch.Adaptive;
            case "inline": return NetpollDispatch.Inline;
            case "threadpool": return NetpollDispatch.ThreadPool;
            default:
                result.AddError($"--dispatch \"{text}\": adaptive, inline or threadpool was expected.");
                return default;
        }
    }

    public static Func<ArgumentResult, int> Whole(string option, int least, int most) => result =>
    {
        string text = result.Tokens[0].Value;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most) return value;
        result.AddError($"{option} \"{text}\": a whole number from {least} to {most} was expected.");
        return least;
    };

    public static Func<ArgumentResult, double> Seconds(string option) => result =>
    {
        const double Day = 86_400;
        string text = result.Tokens[0].Value;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) && value is >= 0.001 and <= Day) return value;
        result.AddError($"{option} \"{text}\": seconds from 0.001 to {Day} were expected.");
        return 0;
    };
}
