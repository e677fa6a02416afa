using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Poller.Net;

namespace Watch.Sources;

/// <summary>The end of a process, which need not be a child: pidfd_open(2).</summary>
internal sealed class ProcessSource(PolledFile file, string name) : Source(file)
{
    public override string Description => $"{File}, {name}";

    public static Source Open(Netpoller poller, string text)
    {
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id == 0)
        {
            throw new FormatException($"\"{text}\" is no number of a process");
        }
        SafeFileHandle handle = LibC.OpenProcess(id);
        PolledFile file = Poll(poller, handle);
        try
        {
            return new ProcessSource(file, Text.Quote(System.IO.File.ReadAllText($"/proc/{id}/comm").TrimEnd('\n')));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    // There is nothing to read: the descriptor becomes readable and stays so. The system tells the exit code to the parent alone.
    public override async IAsyncEnumerable<string> EventsAsync()
    {
        await File.WaitReadableAsync();
        yield return $"{name} has ended";
    }
}
