using System.Globalization;
using System.Text;

namespace Watch.Sources;

/// <summary>Text from outside, made fit for a line.</summary>
internal static class Text
{
    /// <summary>In quotation marks, with control characters as escape sequences of C#.</summary>
    public static string Quote(ReadOnlySpan<char> text)
    {
        StringBuilder quoted = new("\"");
        foreach (char c in text)
        {
            if (c == '\n') quoted.Append("\\n");
            else if (c == '\r') quoted.Append("\\r");
            else if (c == '\t') quoted.Append("\\t");
            else if (c == '\e') quoted.Append("\\e");
            else if (c is '"' or '\\') quoted.Append('\\').Append(c);
            else if (char.IsControl(c)) quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
            else quoted.Append(c);
        }
        return quoted.Append('"').ToString();
    }

    /// <summary>Bytes of UTF-8; what is not UTF-8 shows as U+FFFD.</summary>
    public static string Quote(ReadOnlySpan<byte> bytes) => Quote(Encoding.UTF8.GetString(bytes));
}
