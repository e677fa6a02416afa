using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>What is said of a setting that cannot be: the setting, its value, and what was expected.</summary>
internal static class Messages
{
    public const int MaxLoops = 1024;

    /// <summary>What a poller's section of the configuration may hold.</summary>
    public static readonly string[] Settings = [nameof(PollerOptions.Backend), nameof(PollerOptions.Dispatch), nameof(PollerOptions.Loops)];

    public static string Dispatch(string setting, object value) =>
        $"{setting} \"{value}\": {OneOf(Enum.GetNames<NetpollDispatch>())} was expected.";

    public static string Loops(string setting, object value) => $"{setting} \"{value}\": a whole number from 1 to {MaxLoops} was expected.";

    public static string Section(string setting, string value) =>
        $"{setting} \"{value}\": a section with {OneOf(Settings)} was expected.";

    public static string NotOneValue(string setting) => $"{setting}: one value was expected, and it has several parts.";

    public static string UnknownBackend(string setting, string? value, IEnumerable<string> known) =>
        $"{setting} \"{value}\": {OneOf([PollerOptions.Auto, .. known])} was expected.";

    public static string UnsupportedBackend(string setting, string value, string reason) => $"{setting} \"{value}\": {reason}.";

    public static string OneOf(string[] names) => $"{string.Join(", ", names[..^1])} or {names[^1]}";
}
