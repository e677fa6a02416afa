using System.Runtime.InteropServices;

namespace Poller.Net;

// The twin of ParseSocketControlMessage in Go's syscall/sockcmsg_unix.go.

/// <summary>One item of a message's control data: a struct cmsghdr and its data (cmsg(3)).</summary>
public readonly ref struct ControlItem
{
    internal ControlItem(int level, int type, ReadOnlySpan<byte> data)
    {
        Level = level;
        Type = type;
        Data = data;
    }

    /// <summary>The protocol that it belongs to, by the system's number, such as that of SOL_SOCKET.</summary>
    public int Level { get; }

    /// <summary>What it is, by the system's number, such as that of SCM_RIGHTS.</summary>
    public int Type { get; }

    /// <summary>Its data, in the layout that the system defines for the type.</summary>
    public ReadOnlySpan<byte> Data { get; }
}

/// <summary>
/// Reads the items of control data that came with a message. It takes any bytes: a header that does not fit, or whose length does not,
/// ends the row.
/// </summary>
public ref struct ControlReader
{
    private readonly ControlLayout _layout;
    private ReadOnlySpan<byte> _left;

    /// <summary>Begins at the first item of <paramref name="control"/>, which is as long as the message's control data.</summary>
    /// <exception cref="PlatformNotSupportedException">PollerKit has no socket calls for this system yet.</exception>
    public ControlReader(ReadOnlySpan<byte> control) : this(ControlLayout.Current, control) { }

    internal ControlReader(ControlLayout layout, ReadOnlySpan<byte> control)
    {
        _layout = layout;
        _left = control;
    }

    /// <summary>Reads the next item. False at the end.</summary>
    public bool TryRead(out ControlItem item)
    {
        item = default;
        if (_layout is null || _left.Length < _layout.HeaderSize) return false;
        ulong length = _layout.LengthSize == sizeof(ulong) ? MemoryMarshal.Read<ulong>(_left) : MemoryMarshal.Read<uint>(_left);
        if (length < (ulong)_layout.HeaderSize || length > (ulong)_left.Length) return false;
        int level = MemoryMarshal.Read<int>(_left[_layout.LengthSize..]);
        int type = MemoryMarshal.Read<int>(_left[(_layout.LengthSize + sizeof(int))..]);
        item = new ControlItem(level, type, _left[_layout.HeaderSize..(int)length]);
        _left = _left[Math.Min(ControlLayout.Align((int)length, _layout.Alignment), _left.Length)..];
        return true;
    }
}
