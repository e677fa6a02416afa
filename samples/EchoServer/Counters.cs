using System.Globalization;
using Poller.Net;

namespace EchoServer;

/// <summary>Counts what the server has served. Safe from any thread.</summary>
internal sealed class Counters
{
    // Atomic.
    private int _open;
    private long _connections;
    private long _messages;
    private long _bytes;

    public void Opened()
    {
        Interlocked.Increment(ref _connections);
        Interlocked.Increment(ref _open);
    }

    public void Closed() => Interlocked.Decrement(ref _open);

    public void Echoed(int bytes)
    {
        Interlocked.Increment(ref _messages);
        Interlocked.Add(ref _bytes, bytes);
    }

    public string Line(NetpollerStatistics poller)
    {
        double each = poller.Polls == 0 ? 0 : (double)poller.Events / poller.Polls;
        return string.Create(CultureInfo.InvariantCulture,
            $"connections {Volatile.Read(ref _open)} open of {Volatile.Read(ref _connections)}, "
            + $"messages {Volatile.Read(ref _messages)}, bytes {Volatile.Read(ref _bytes)}, "
            + $"polls {poller.Polls}, events a poll {each:F2}, breaks {poller.Breaks}, promotions {poller.Promotions}");
    }
}
