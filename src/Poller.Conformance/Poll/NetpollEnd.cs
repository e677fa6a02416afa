using System.Globalization;
using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>The kind of a channel.</summary>
internal enum ChannelKind
{
    /// <summary>A pair of Unix stream sockets.</summary>
    Unix,

    /// <summary>A pipe: the even end reads, the odd one writes.</summary>
    Pipe,

    /// <summary>A TCP connection over loopback. Only here does it take a little time until one end's actions reach the other end.</summary>
    Tcp,
}

/// <summary>The model's view of one end of a channel.</summary>
internal sealed class NetpollEnd(int index, ChannelKind kind)
{
    private const int SmallestBuffer = 8 * 1024;

    public int Index => index;
    public ChannelKind Kind => kind;
    public NetpollEnd Peer { get; set; } = null!;

    public bool CanRead => kind != ChannelKind.Pipe || index % 2 == 0;
    public bool CanWrite => kind != ChannelKind.Pipe || index % 2 == 1;

    /// <summary>Null while the end is not in the poller.</summary>
    public PollToken? Token { get; set; }

    /// <summary>The bytes the peer has written and nobody has read.</summary>
    public int Waiting { get; set; }

    /// <summary>Whether nothing follows those bytes.</summary>
    public bool HasEnd { get; set; }

    /// <summary>Whether the connection was reset. Both directions have then ended, whatever bytes were waiting.</summary>
    public bool IsReset { get; set; }

    public bool ReadIsShut { get; set; }
    public bool WriteIsShut { get; set; }
    public bool IsClosed { get; set; }

    /// <summary>Whether an edge-triggered poller must still report that the peer has ended.</summary>
    public bool HangupIsOwed { get; set; }

    /// <summary>
    /// Whether <see cref="HangupIsOwed"/>, and the end has arrived. TCP holds the end back while the reader's buffer has no room for the
    /// bytes before it.
    /// </summary>
    public bool HangupIsDue => HangupIsOwed && (kind != ChannelKind.Tcp || Waiting <= SmallestBuffer);

    public NetpollSide Read { get; } = new();
    public NetpollSide Write { get; } = new();

    /// <summary>Whether a read would not block once all earlier actions have arrived; null if the end does not read.</summary>
    public bool? IsReadable => CanRead ? Waiting > 0 || HasEnd || IsReset : null;

    /// <summary>Whether a write would not block once all earlier actions have arrived; null if only the kernel knows.</summary>
    public bool? IsWritable =>
        !CanWrite ? null
        : IsReset || (Peer.IsClosed && kind != ChannelKind.Tcp) ? true
        : !WriteIsShut && !Peer.IsClosed && !Peer.ReadIsShut && Peer.Waiting == 0 ? true
        : null;

    /// <summary>Whether an event may carry ReadHangup.</summary>
    public bool MayHangUp => HasEnd || IsReset || ReadIsShut || Peer.IsClosed || Peer.ReadIsShut;

    /// <summary>Notes the result of a write: the number of bytes, or the negated errno.</summary>
    public void Wrote(int result)
    {
        if (result == -Errno.EAGAIN.Number) Write.IsBlocked = true;
        else if (result < 0 && kind == ChannelKind.Tcp && !(WriteIsShut && result == -Errno.EPIPE.Number)) IsReset = true;
        if (result <= 0) return;

        Write.IsBlocked = false;
        if (!Peer.IsClosed) Peer.Waiting += result;

        // If bytes reach a TCP socket that is gone, a reset comes back.
        else if (kind == ChannelKind.Tcp) IsReset = true;
    }

    /// <summary>Notes the result of a read of <paramref name="asked"/> bytes: the number of bytes, or the negated errno.</summary>
    public void Took(int asked, int result)
    {
        if (result == 0 && Waiting > 0 && !ReadIsShut && !Peer.ReadIsShut && !IsReset)
        {
            throw new InvalidOperationException($"the kernel gave an end at {this} where the model has {Waiting} bytes waiting");
        }
        if (result > 0) Waiting = Math.Max(0, Waiting - result);

        // A TCP socket whose read side was shut down may answer bytes with a reset, or not. The first call after a reset gets the error.
        if (result < 0 && result != -Errno.EAGAIN.Number) IsReset = true;

        // The reader now knows that there is nothing, so bytes that are still on their way will raise an edge. An end's report is an edge
        // too.
        bool isDrained = result == -Errno.EAGAIN.Number || (result > 0 && result < asked && !HasEnd);
        if (isDrained) Read.IsReady = Read.IsOwed = false;
    }

    /// <summary>Notes that its own read side was shut down: nothing will be read but an end.</summary>
    public void ShutRead() => ReadIsShut = HasEnd = true;

    public override string ToString() => kind switch
    {
        ChannelKind.Unix => string.Create(CultureInfo.InvariantCulture, $"unix{index / 2}{(index % 2 == 0 ? 'a' : 'b')}"),
        ChannelKind.Pipe => string.Create(CultureInfo.InvariantCulture, $"pipe{index / 2}{(index % 2 == 0 ? 'r' : 'w')}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"tcp{index / 2}{(index % 2 == 0 ? 'a' : 'b')}"),
    };
}

/// <summary>One direction of an end.</summary>
internal sealed class NetpollSide
{
    /// <summary>What the kernel said when it was last asked.</summary>
    public bool IsReady { get; set; }

    /// <summary>What the kernel said when the current poll began.</summary>
    public bool WasReady { get; set; }

    /// <summary>Edge-triggered: whether a report is due.</summary>
    public bool IsOwed { get; set; }

    /// <summary>Whether room is an edge: a write has returned that it would block, or the end was registered while it would.</summary>
    public bool IsBlocked { get; set; }

    /// <summary>Level-triggered: whether it is armed, and was not delivered since.</summary>
    public bool IsArmed { get; set; }

    /// <summary>The command since which the report is due.</summary>
    public string Since { get; set; } = "";
}
