using System.CommandLine.Parsing;
using System.Globalization;
using Poller.DependencyInjection;

namespace EchoServer;

/// <summary>Turns the text of options into values. Each error names the text and what was expected.</summary>
internal static class Parsers
{
    private const string ListOfOptions = " Options were expected; --help lists them.";

    /// <summary>The error for an argument that belongs to no option.</summary>
    public static string Unrecognized(string argument) => $"Unrecognized command or argument '{argument}'.{ListOfOptions}";

    /// <summary>An error of a parser below, or an error of System.CommandLine together with what was expected.</summary>
    public static string Describe(ParseError error)
    {
        SymbolResult? result = error.SymbolResult;
        while (result is not (OptionResult or CommandResult or null)) result = result.Parent;
        if (result is not OptionResult { Option: { } option, Tokens: { } values }) return error.Message + ListOfOptions;
        if (error.Message.StartsWith(option.Name, StringComparison.Ordinal)) return error.Message;
        string given = string.Concat(values.Select(static value => $" \"{value.Value}\""));
        return $"{option.Name}{given}: one value, {option.HelpName}, was expected.";
    }

    public static ListenAddress? Listen(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string network = colon < 0 ? "" : text[..colon];
        bool isKnown = network is "tcp" or "tcp4" or "tcp6";
        if (isKnown && colon + 1 < text.Length) return new ListenAddress(network, text[(colon + 1)..]);
        string wrong = isKnown ? "no address"
            : colon < 0 ? "no colon"
            : network.Length == 0 ? "no network"
            : $"unknown network \"{network}\"";
        result.AddError($"--listen \"{text}\": {wrong}; network:host:port was expected, like tcp:127.0.0.1:8888, with tcp, tcp4 or tcp6.");
        return null;
    }

    public static string? Backend(ArgumentResult result)
    {
        if (OneOf("--backend", "auto", "epoll", "epoll-level", "posix", "kqueue")(result) is not { } name) return null;
        try
        {
            return NetpollFactory.Named(name).Name;
        }
        catch (PlatformNotSupportedException e)
        {
            result.AddError($"--{e.Message}");
            return null;
        }
    }

    public static Func<ArgumentResult, string?> OneOf(string option, params string[] names) => result =>
    {
        string text = result.Tokens[0].Value;
        if (names.Contains(text)) return text;
        result.AddError($"{option} \"{text}\": {string.Join(", ", names[..^1])} or {names[^1]} was expected.");
        return null;
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
