using System.Runtime;

namespace Peers;

/// <summary>The harness's side of a .NET peer: it says where it listens, tells of its memory when asked, and ends with its input.</summary>
internal static class Control
{
    public static void SayListening(int port) => Console.WriteLine($"listening {port}");

    /// <summary>Returns at the end of the input. Each line is answered; <c>collect</c> collects the garbage first.</summary>
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
    /// Reports what ended a connection or the accept loop early, which the harness takes for a failure. To be caught in the handler: a
    /// continuation of its task would count among the bytes of a connection.
    /// </summary>
    public static void Report(Exception exception) => Console.Error.WriteLine(exception);
}
