using System.Runtime.InteropServices;
using Poller.Net;

namespace Watch.Sources;

/// <summary>Something that is watched: a descriptor in the poller, and what its events say.</summary>
internal abstract class Source(PolledFile file) : IAsyncDisposable
{
    protected PolledFile File { get; } = file;

    /// <summary>What was opened.</summary>
    public virtual string Description => File.ToString();

    /// <summary>A line for each event. They end when the source does. A dispose ends the wait for the next one with an exception.</summary>
    public abstract IAsyncEnumerable<string> EventsAsync();

    public virtual ValueTask DisposeAsync() => File.DisposeAsync();

    /// <summary>Puts a new descriptor into the poller, or closes it if the poller refuses it.</summary>
    protected static PolledFile Poll(Netpoller poller, SafeHandle handle)
    {
        try
        {
            return new PolledFile(poller, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary><c>1 byte</c>, <c>2 bytes</c>.</summary>
    protected static string Count(long count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";
}
