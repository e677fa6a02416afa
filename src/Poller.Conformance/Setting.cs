using System.Globalization;

namespace Poller.Conformance;

/// <summary>The settings of a run.</summary>
internal static class Setting
{
    /// <summary>How long a run waits for what must happen: as long as its caller says, or 5 s.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The time is not above zero, or is more than a day.</exception>
    public static TimeSpan Patience(TimeSpan? patience) => patience switch
    {
        null => TimeSpan.FromSeconds(5),
        { } time when time > TimeSpan.Zero && time <= TimeSpan.FromDays(1) => time,
        _ => throw new ArgumentOutOfRangeException(nameof(patience), patience, "a time above zero, up to a day, was expected."),
    };

    /// <summary>The variable's number; null if the variable is not set.</summary>
    /// <exception cref="FormatException">The variable's value is not a number.</exception>
    public static int? FromEnvironment(string name) =>
        Environment.GetEnvironmentVariable(name) is not { Length: > 0 } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
        : throw new FormatException($"{name} is '{text}'; a number was expected.");
}
