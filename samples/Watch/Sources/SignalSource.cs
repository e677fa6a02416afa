using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Net;

namespace Watch.Sources;

/// <summary>A signal that somebody sends to this process.</summary>
/// <remarks>
/// signalfd(2) is of no use here. It reads a signal that every thread of the process blocks, and the runtime has threads before Main, which
/// nobody can make block one. The kernel would give the signal to one of these, and it would end the process. So the runtime's own handler
/// takes the signal and counts it in an eventfd, which the poller watches. What is lost is who sent it.
/// </remarks>
internal sealed class SignalSource(PolledFile file, PosixSignalRegistration registration, string name) : Source(file)
{
    // Those that neither the runtime nor this program needs for itself.
    private static readonly Dictionary<string, int> Numbers = new()
    {
        ["QUIT"] = 3,
        ["USR1"] = 10,
        ["USR2"] = 12,
        ["ALRM"] = 14,
        ["URG"] = 23,
        ["WINCH"] = 28,
    };

    public static string Names { get; } = string.Join(", ", Numbers.Keys);

    public override string Description => $"{File}, process {Environment.ProcessId}";

    public static Source Open(Netpoller poller, string text)
    {
        const string Prefix = "SIG";
        string name = text.StartsWith(Prefix, StringComparison.Ordinal) ? text[Prefix.Length..] : text;
        if (!Numbers.TryGetValue(name, out int number)) throw new FormatException($"\"{text}\" is no signal that can be watched");
        SafeFileHandle counter = LibC.OpenCounter();
        PolledFile file = Poll(poller, counter);
        try
        {
            return new SignalSource(file, PosixSignalRegistration.Create((PosixSignal)number, OnSignal), Prefix + name);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true; // Otherwise the signal would do what it does by default, such as to end the process.
            try
            {
                LibC.Increment(counter);
            }
            catch (ObjectDisposedException)
            {
                // The end of the registration does not wait for a handler that runs.
            }
        }
    }

    public override async IAsyncEnumerable<string> EventsAsync()
    {
        byte[] buffer = new byte[sizeof(ulong)];
        while (true)
        {
            await File.ReadAsync(buffer);
            yield return $"{name}, {Count(BinaryPrimitives.ReadInt64LittleEndian(buffer), "time")}";
        }
    }

    public override ValueTask DisposeAsync()
    {
        registration.Dispose();
        return base.DisposeAsync();
    }
}
