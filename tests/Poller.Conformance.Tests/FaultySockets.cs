using System.Collections.Concurrent;
using System.Net.Sockets;
using Poller.Abstractions;
using Poller.Net;
using Poller.Net.Tests;

namespace Poller.Conformance.Tests;

// Socket calls that are right but for one thing, to see the net kit fail. Each stands between a right net layer and the system.

/// <summary>No fault yet.</summary>
internal abstract class FaultySockets : ForwardingSocketApi
{
    private const int EveryFew = 40;

    private int _calls;

    /// <summary>Whether the fault shows in this call: in one of many.</summary>
    protected bool IsTheOne() => Interlocked.Increment(ref _calls) % EveryFew == 0;

    /// <summary>How many bytes a call moved; 0 for one that failed.</summary>
    private protected static int CountOf(IoResult result) => result.IsSuccess ? result.Value : 0;
}

/// <summary>Takes the first byte of what came for itself.</summary>
internal sealed class LosesAByte : FaultySockets
{
    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        IoResult result = base.Receive(fd, buffer);
        int count = CountOf(result);
        if (count < 2 || !IsTheOne()) return result;
        buffer[1..count].CopyTo(buffer);
        buffer[count - 1] = 0xff; // As if nothing had been written there.
        return count - 1;
    }
}

/// <summary>Gives the last byte of what came once more.</summary>
internal sealed class RepeatsAByte : FaultySockets
{
    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        IoResult result = base.Receive(fd, buffer);
        int count = CountOf(result);
        if (count < 1 || count == buffer.Length || !IsTheOne()) return result;
        buffer[count] = buffer[count - 1];
        return count + 1;
    }
}

/// <summary>Changes the places of two bytes that differ.</summary>
internal sealed class SwapsTwoBytes : FaultySockets
{
    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        IoResult result = base.Receive(fd, buffer);
        int count = CountOf(result);
        if (count >= 2 && buffer[0] != buffer[1] && IsTheOne()) (buffer[0], buffer[1]) = (buffer[1], buffer[0]);
        return result;
    }
}

/// <summary>Writes one byte more than it counts.</summary>
internal sealed class WritesPastTheCount : FaultySockets
{
    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        IoResult result = base.Receive(fd, buffer);
        int count = CountOf(result);
        if (count > 0 && count < buffer.Length && IsTheOne()) buffer[count] = 0;
        return result;
    }
}

/// <summary>Says that the peer has ended, where nothing has come yet.</summary>
internal sealed class EndsTooEarly : FaultySockets
{
    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        IoResult result = base.Receive(fd, buffer);
        return result == Errno.EAGAIN && IsTheOne() ? 0 : result;
    }
}

/// <summary>Says that the peer has ended to whoever only looks.</summary>
internal sealed class PeeksTheEnd : FaultySockets
{
    public override IoResult Peek(nint fd, Span<byte> buffer)
    {
        IoResult result = base.Peek(fd, buffer);
        int count = CountOf(result);
        return count > 0 && IsTheOne() ? 0 : result;
    }
}

/// <summary>Takes what it looks at.</summary>
internal sealed class TakesWhatItPeeks : FaultySockets
{
    public override IoResult Peek(nint fd, Span<byte> buffer) => base.Receive(fd, buffer);
}

/// <summary>Sends a part, and claims to have sent all.</summary>
internal sealed class ClaimsAShortWrite : FaultySockets
{
    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer) =>
        buffer.Length > 1 && IsTheOne() && base.Send(fd, buffer[..^1]) == buffer.Length - 1 ? buffer.Length : base.Send(fd, buffer);
}

/// <summary>Sends all, and claims one byte less: it is sent again.</summary>
internal sealed class SendsAByteAgain : FaultySockets
{
    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        IoResult result = base.Send(fd, buffer);
        int count = CountOf(result);
        return count > 1 && IsTheOne() ? count - 1 : result;
    }
}

/// <summary>Does no half close.</summary>
internal sealed class IgnoresShutdown : FaultySockets
{
    public override IoResult Shutdown(nint fd, SocketShutdown how) => 0;
}

/// <summary>Ends reading where writing is to end.</summary>
internal sealed class ShutsTheWrongSide : FaultySockets
{
    public override IoResult Shutdown(nint fd, SocketShutdown how) =>
        base.Shutdown(fd, how == SocketShutdown.Send ? SocketShutdown.Receive : SocketShutdown.Send);
}

/// <summary>Answers a send after a half close as if it had been sent.</summary>
internal sealed class WritesAfterTheEnd : FaultySockets
{
    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        IoResult result = base.Send(fd, buffer);
        return result == Errno.EPIPE ? buffer.Length : result;
    }
}

/// <summary>Closes late: a descriptor stays open until the next one is closed.</summary>
internal sealed class ClosesLate : FaultySockets
{
    private readonly ConcurrentQueue<nint> _open = new();

    public override IoResult Close(nint fd)
    {
        _open.Enqueue(fd);
        return _open.Count > 2 && _open.TryDequeue(out nint late) ? base.Close(late) : 0;
    }
}
