using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>Writes items of control data into a buffer, for a message that is sent.</summary>
public ref struct ControlWriter
{
    private readonly ControlLayout? _layout;
    private readonly Span<byte> _buffer;

    /// <summary>Begins at the start of <paramref name="buffer"/>.</summary>
    /// <exception cref="PlatformNotSupportedException">PollerKit has no socket calls for this system yet.</exception>
    public ControlWriter(Span<byte> buffer) : this(ControlLayout.Current, buffer) { }

    internal ControlWriter(ControlLayout layout, Span<byte> buffer)
    {
        _layout = layout;
        _buffer = buffer;
    }

    /// <summary>How many bytes were written. Pass this part of the buffer to the send.</summary>
    public int Length { get; private set; }

    /// <summary>The room that an item takes, in bytes (CMSG_SPACE of cmsg(3)).</summary>
    /// <param name="data">The length of its data, in bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is below 0, or more than a buffer takes with its header.</exception>
    /// <exception cref="PlatformNotSupportedException">PollerKit has no socket calls for this system yet.</exception>
    public static int SpaceFor(int data)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(data);
        ControlLayout layout = ControlLayout.Current;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data, layout.MaxData);
        return layout.SpaceFor(data);
    }

    /// <summary>Appends an item. Level and type are the system's numbers.</summary>
    /// <exception cref="ArgumentException">It does not fit.</exception>
    /// <exception cref="InvalidOperationException">The writer is the default value, and has no buffer.</exception>
    public void Write(int level, int type, scoped ReadOnlySpan<byte> data)
    {
        ControlLayout layout = _layout
            ?? throw new InvalidOperationException("ControlWriter: a writer with a buffer was expected, not the default value.");
        int left = _buffer.Length - Length;
        int space = layout.SpaceFor(Math.Min(data.Length, layout.MaxData));
        if (space > left || data.Length > layout.MaxData)
        {
            throw new ArgumentException($"an item of {data.Length} bytes takes {space}; the buffer has {left} left.", nameof(data));
        }
        Span<byte> item = _buffer.Slice(Length, space);
        item.Clear();
        int length = layout.HeaderSize + data.Length;
        if (layout.LengthSize == sizeof(ulong)) MemoryMarshal.Write(item, (ulong)length);
        else MemoryMarshal.Write(item, (uint)length);
        MemoryMarshal.Write(item[layout.LengthSize..], level);
        MemoryMarshal.Write(item[(layout.LengthSize + sizeof(int))..], type);
        data.CopyTo(item[layout.HeaderSize..]);
        Length += space;
    }
}
