using System.Collections.Concurrent;

namespace Poller.Net.Tests;

/// <summary>The system's calls that move more than one buffer, counted, and told how much they may take.</summary>
internal sealed class TransferApi : ForwardingSocketApi
{
    /// <summary>How many sends there were, of one buffer or of several.</summary>
    public int Sends;

    /// <summary>How many receives there were, into one buffer or into several.</summary>
    public int Receives;

    /// <summary>What the next gathered sends return, instead of sending.</summary>
    public ConcurrentQueue<IoResult> SendFaults { get; } = new();

    /// <summary>What the next scattered receives return, instead of receiving.</summary>
    public ConcurrentQueue<IoResult> ReceiveFaults { get; } = new();

    /// <summary>How many bytes the next gathered send takes at most.</summary>
    public Func<int>? MaxSend { get; set; }

    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        Interlocked.Increment(ref Sends);
        return base.Send(fd, buffer);
    }

    public override IoResult SendMessage(
        nint fd, ReadOnlySpan<IoVector> buffers, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control)
    {
        Interlocked.Increment(ref Sends);
        if (SendFaults.TryDequeue(out IoResult fault)) return fault;
        foreach (IoVector buffer in buffers) Assert.NotEqual(0, buffer.Length);
        return base.SendMessage(fd, MaxSend is null ? buffers : Cut(buffers, MaxSend()), address, control);
    }

    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        Interlocked.Increment(ref Receives);
        return base.Receive(fd, buffer);
    }

    public override IoResult ReceiveMessage(
        nint fd, ReadOnlySpan<IoVector> buffers, Span<byte> address, Span<byte> control, bool peek, out MessageInfo info)
    {
        Interlocked.Increment(ref Receives);
        info = default;
        return ReceiveFaults.TryDequeue(out IoResult fault) ? fault : base.ReceiveMessage(fd, buffers, address, control, peek, out info);
    }

    private static IoVector[] Cut(ReadOnlySpan<IoVector> buffers, nint count)
    {
        List<IoVector> cut = [];
        for (int i = 0; i < buffers.Length && count > 0; i++)
        {
            nint length = Math.Min(buffers[i].Length, count);
            cut.Add(buffers[i] with { Length = length });
            count -= length;
        }
        return [.. cut];
    }
}
