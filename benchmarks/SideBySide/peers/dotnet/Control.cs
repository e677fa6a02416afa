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
            Console.WriteLine($$"""{"allocated":{{GC.GetTotalAllocatedBytes(precise: true)}},"managed":{{managed}}}""");
        }
    }

    /// <summary>Reports what ended a connection early, which the harness takes for a failure.</summary>
    public static void Watch(Task handler) =>
        handler.ContinueWith(static t => Console.Error.WriteLine(t.Exception!.InnerException), CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
}
