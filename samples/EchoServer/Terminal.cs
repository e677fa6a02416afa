namespace EchoServer;

/// <summary>The two standard streams, either of which may be full or closed. Safe from any thread.</summary>
internal static class Terminal
{
    /// <summary>Writes to the standard output, and says on the standard error stream where that fails.</summary>
    /// <returns>Whether it did not fail.</returns>
    public static bool Say(string line)
    {
        if (Write(Console.Out, line) is not { } reason) return true;
        Complain($"standard output: {reason} A stream that can be written to was expected.");
        return false;
    }

    /// <summary>Writes to the standard error stream. Where that fails nobody is left to be told.</summary>
    public static void Complain(string line) => Write(Console.Error, line);

    // Null, or why it failed.
    private static string? Write(TextWriter writer, string line)
    {
        try
        {
            writer.WriteLine(line);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message.EndsWith('.') ? e.Message : $"{e.Message}.";
        }
    }
}
