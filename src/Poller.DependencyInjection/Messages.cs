using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>The messages about invalid settings. Each names the setting, its value and what was expected.</summary>
internal static class Messages
{
    /// <summary>The upper limits of <see cref="NetpollerOptions.Loops"/> and <see cref="NetpollerOptions.MaxBlockedHandlers"/>.</summary>
    public const int MaxLoops = 1024, MaxMaxBlockedHandlers = 32_767;

    public static string Backend(string setting, object? value, string whyNot) => $"{setting} \"{value}\": {whyNot}.";

    public static string Dispatch(string setting, object value) =>
        $"{setting} \"{value}\": {OneOf(Enum.GetNames<NetpollDispatch>())} was expected.";

    public static string Count(string setting, object value, int most) =>
        $"{setting} \"{value}\": a whole number from 1 to {most} was expected.";

    public static string Section(string setting, string value, string[] settings) =>
        $"{setting} \"{value}\": a section with {OneOf(settings)} was expected.";

    public static string NotOneValue(string setting) => $"{setting}: one value was expected, and it has several parts.";

    public static string Unknown(string setting, string[] settings) =>
        $"{setting} is no setting of a poller; {OneOf(settings)} was expected";

    public static string NoPoller(string setting) => $"{setting}: no poller has this key; AddKeyedPoller with it was expected";

    public static string OptionOf(string option, string listener) => $"{option} of listener \"{listener}\"";

    public static string Network(string setting, string? value, string[] networks) =>
        $"{setting} \"{value}\": {OneOf(networks)} was expected.";

    public static string Listener(string listener, string failure) => $"listener \"{listener}\": {failure}";

    public static string Options(string options, string name, string failure) =>
        name.Length == 0 ? $"{options}: {failure}" : $"{options} \"{name}\": {failure}";

    public static string OneOf(string[] names) => $"{string.Join(", ", names[..^1])} or {names[^1]}";
}
