using System.Collections.Concurrent;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>The system's calls that move more than one buffer, counted, and told how much they may move.</summary>
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

    /// <summary>Runs in each sendfile, before it. What it returns, unless null, the call returns instead of sending.</summary>
    public Func<IoResult?>? SendingFile { get; set; }

    /// <summary>How many bytes a sendfile, and a send, takes at most.</summary>
    public int MaxFileSend { get; set; } = int.MaxValue;

    /// <summary>How many bytes the largest sendfile was asked for.</summary>
    public int LargestFileSend;

    /// <summary>How many pipes were made, and how many descriptors of pipes are open.</summary>
    public int Pipes, OpenPipeEnds;

    /// <summary>How many bytes were spliced.</summary>
    public long Spliced;

    /// <summary>What a pipe's making returns instead, unless null.</summary>
    public IoResult? PipeFault { get; set; }

    /// <summary>What the next splices return, instead of splicing.</summary>
    public ConcurrentQueue<IoResult> SpliceFaults { get; } = new();

    private readonly ConcurrentDictionary<nint, bool> _pipeEnds = new();
    private readonly ConcurrentDictionary<nint, bool> _full = new();

    /// <summary>Whether the last splice into a descriptor, or the last send, found no room.</summary>
    public bool IsFull(nint fd) => _full.TryGetValue(fd, out bool full) && full;

    public override IoResult SendFile(nint fd, nint file, long offset, int count)
    {
        if (count > LargestFileSend) LargestFileSend = count;
        return SendingFile?.Invoke() ?? base.SendFile(fd, file, offset, Math.Min(count, MaxFileSend));
    }

    public override IoResult Pipe(out nint read, out nint write)
    {
        read = write = -1;
        if (PipeFault is { } fault) return fault;
        IoResult result = base.Pipe(out read, out write);
        if (!result.IsSuccess) return result;
        _pipeEnds[read] = _pipeEnds[write] = true;
        Interlocked.Increment(ref Pipes);
        Interlocked.Add(ref OpenPipeEnds, 2);
        return result;
    }

    public override IoResult Close(nint fd)
    {
        if (_pipeEnds.TryRemove(fd, out _)) Interlocked.Decrement(ref OpenPipeEnds);
        return base.Close(fd);
    }

    public override IoResult Splice(nint from, nint to, int count)
    {
        if (SpliceFaults.TryDequeue(out IoResult fault)) return fault;
        IoResult result = base.Splice(from, to, count);
        if (result.IsSuccess) Interlocked.Add(ref Spliced, result.Value);
        _full[to] = result == Errno.EAGAIN;
        return result;
    }

    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        Interlocked.Increment(ref Sends);
        IoResult result = base.Send(fd, buffer[..Math.Min(buffer.Length, MaxFileSend)]);
        _full[fd] = result == Errno.EAGAIN;
        return result;
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
        nint fd, ReadOnlySpan<IoVector> buffers, Span<byte> address, Span<byte> control, out MessageInfo info)
    {
        Interlocked.Increment(ref Receives);
        info = default;
        return ReceiveFaults.TryDequeue(out IoResult fault) ? fault : base.ReceiveMessage(fd, buffers, address, control, out info);
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
