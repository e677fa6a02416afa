using System.Globalization;

namespace Poller.Conformance;

/// <summary>The settings of a run, from environment variables.</summary>
internal static class Setting
{
    /// <summary>The variable's number; null if the variable is not set.</summary>
    /// <exception cref="FormatException">The variable's value is not a number.</exception>
    public static int? FromEnvironment(string name) =>
        Environment.GetEnvironmentVariable(name) is not { Length: > 0 } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
        : throw new FormatException($"{name} is '{text}'; a number was expected.");
}
