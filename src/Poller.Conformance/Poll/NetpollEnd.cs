using System.Globalization;
using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>What the two ends of a channel are.</summary>
internal enum ChannelKind
{
    /// <summary>A pair of Unix stream sockets.</summary>
    Unix,

    /// <summary>A pipe: the even end reads, the odd one writes.</summary>
    Pipe,

    /// <summary>A TCP connection over loopback. Alone in that what one end does reaches the other a little later.</summary>
    Tcp,
}

/// <summary>One end of a channel, as the model has it.</summary>
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

    /// <summary>Nothing follows those bytes.</summary>
    public bool HasEnd { get; set; }

    /// <summary>The connection was reset: both directions are at an end, whatever waited.</summary>
    public bool IsReset { get; set; }

    public bool ReadIsShut { get; set; }
    public bool WriteIsShut { get; set; }
    public bool IsClosed { get; set; }

    /// <summary>An edge-triggered poller has yet to say that the peer has ended.</summary>
    public bool HangupIsOwed { get; set; }

    /// <summary>The same, and the end is there: TCP holds it back behind bytes that the reader's buffer has no room for.</summary>
    public bool HangupIsDue => HangupIsOwed && (kind != ChannelKind.Tcp || Waiting <= SmallestBuffer);

    public NetpollSide Read { get; } = new();
    public NetpollSide Write { get; } = new();

    /// <summary>Whether a read would not block once what was done has arrived; null where the end does not read.</summary>
    public bool? IsReadable => CanRead ? Waiting > 0 || HasEnd || IsReset : null;

    /// <summary>Whether a write would not block once what was done has arrived; null where that is for the kernel to say.</summary>
    public bool? IsWritable =>
        !CanWrite ? null
        : IsReset || (Peer.IsClosed && kind != ChannelKind.Tcp) ? true
        : !WriteIsShut && !Peer.IsClosed && !Peer.ReadIsShut && Peer.Waiting == 0 ? true
        : null;

    /// <summary>Whether an event may say that there is more to tell than bytes.</summary>
    public bool MayHangUp => HasEnd || IsReset || ReadIsShut || Peer.IsClosed || Peer.ReadIsShut;

    /// <summary>A write returned so many bytes, or the errno below zero.</summary>
    public void Wrote(int result)
    {
        if (result == -Errno.EAGAIN.Number) Write.IsBlocked = true;
        else if (result < 0 && kind == ChannelKind.Tcp && !(WriteIsShut && result == -Errno.EPIPE.Number)) IsReset = true;
        if (result <= 0) return;

        Write.IsBlocked = false;
        if (!Peer.IsClosed) Peer.Waiting += result;

        // Bytes for a TCP socket that is gone come back as a reset.
        else if (kind == ChannelKind.Tcp) IsReset = true;
    }

    /// <summary>A read of <paramref name="asked"/> bytes returned so many, or the errno below zero.</summary>
    public void Took(int asked, int result)
    {
        if (result == 0 && Waiting > 0 && !ReadIsShut && !Peer.ReadIsShut && !IsReset)
        {
            throw new InvalidOperationException($"the kernel gave an end at {this} where the model has {Waiting} bytes waiting");
        }
        if (result > 0) Waiting = Math.Max(0, Waiting - result);

        // A TCP socket whose read side was shut may answer for what it was sent with a reset, or not: the first call after it is told.
        if (result < 0 && result != -Errno.EAGAIN.Number) IsReset = true;

        // The reader knows now that there is nothing: what is still on its way will be an edge. Where there is an end, its report is one.
        bool isDrained = result == -Errno.EAGAIN.Number || (result > 0 && result < asked && !HasEnd);
        if (isDrained) Read.IsReady = Read.IsOwed = false;
    }

    /// <summary>Its own read side was shut: nothing will be read but an end.</summary>
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
    /// <summary>The kernel's word, when it was last asked.</summary>
    public bool IsReady { get; set; }

    /// <summary>The same when the poll under way began.</summary>
    public bool WasReady { get; set; }

    /// <summary>Edge-triggered: a report is due.</summary>
    public bool IsOwed { get; set; }

    /// <summary>The user was told that a write would block, or registered the end while it would: room is an edge.</summary>
    public bool IsBlocked { get; set; }

    /// <summary>Level-triggered: armed and not delivered since.</summary>
    public bool IsArmed { get; set; }

    /// <summary>Since which command it is due.</summary>
    public string Since { get; set; } = "";
}
