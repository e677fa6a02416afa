using System.Runtime.InteropServices;

namespace Poller.Net;

// The twin of ParseSocketControlMessage in Go's syscall/sockcmsg_unix.go.

/// <summary>
/// Reads the items of control data that came with a message. It takes any bytes: a header that does not fit, or whose length does not,
/// ends the row.
/// </summary>
public ref struct ControlReader
{
    private readonly ControlLayout _layout;
    private ReadOnlySpan<byte> _left;

    /// <summary>
    /// Begins at the first item of <paramref name="control"/>, which is as long as the message's control data:
    /// <see cref="ReceivedMessage.ControlBytes"/>.
    /// </summary>
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
