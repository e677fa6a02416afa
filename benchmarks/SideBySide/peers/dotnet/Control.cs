using System.Runtime;

namespace Peers;

/// <summary>
/// How a .NET peer talks to the harness: it prints its port, reports its memory when asked, and ends when its input ends.
/// </summary>
internal static class Control
{
    public static void SayListening(int port) => Console.WriteLine($"listening {port}");

    /// <summary>Answers each line, and returns at the end of the input. For <c>collect</c> it collects the garbage first.</summary>
    public static void Answer()
    {
        while (Console.ReadLine() is { } line)
        {
            long managed = GC.GetTotalMemory(forceFullCollection: line == "collect");
            long allocated = GC.GetTotalAllocatedBytes(precise: true), compiled = JitInfo.GetCompiledMethodCount();
            Console.WriteLine($$"""{"allocated":{{allocated}},"managed":{{managed}},"compiled":{{compiled}}}""");
        }
    }

    /// <summary>
    /// Reports why a connection or the accept loop ended early; the harness takes that for a failure. Catch the exception in the handler,
    /// because a continuation of its task would add to the bytes of a connection.
    /// </summary>
    public static void Report(Exception exception) => Console.Error.WriteLine(exception);
}
