using System.Globalization;

namespace Poller.Conformance;

/// <summary>What the environment says of a run.</summary>
internal static class Setting
{
    /// <summary>The number that the variable holds; null where it is not set.</summary>
    /// <exception cref="FormatException">It holds something else.</exception>
    public static int? FromEnvironment(string name) =>
        Environment.GetEnvironmentVariable(name) is not { Length: > 0 } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
        : throw new FormatException($"{name} is '{text}'; a number was expected.");
}
