namespace EchoServer;

/// <summary>The two standard streams for output. Each of them may be full or closed. Safe from any thread.</summary>
internal static class Terminal
{
    /// <summary>Writes to the standard output. If that fails, it says so on the standard error stream.</summary>
    /// <returns>Whether the write succeeded.</returns>
    public static bool Say(string line)
    {
        if (Write(Console.Out, line) is not { } reason) return true;
        Complain($"standard output: {reason} A stream that can be written to was expected.");
        return false;
    }

    /// <summary>Writes to the standard error stream. If that fails, there is no other place to report it.</summary>
    public static void Complain(string line) => Write(Console.Error, line);

    // Returns null, or why the write failed.
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
