using System.Runtime.InteropServices;

namespace Poller.Net;

// The twin of ParseSocketControlMessage in Go's syscall/sockcmsg_unix.go, and of the CMSG macros of cmsg(3): control data is a row of
// headers (length, level, type), each followed by its data. Header and data are padded to a border.
//
// The reader takes any bytes: a header that does not fit, or whose length does not, ends the row.

/// <summary>How a system lays out control data.</summary>
/// <param name="LengthSize">The size of the length in a header, in bytes: that of size_t or of socklen_t.</param>
/// <param name="Alignment">What header and data are padded to, in bytes.</param>
internal sealed record ControlLayout(int LengthSize, int Alignment)
{
    /// <summary>The bytes from the start of a header to its data (CMSG_LEN(0)).</summary>
    public int HeaderSize { get; } = Align(LengthSize + 2 * sizeof(int), Alignment);

    /// <summary>The room that an item with so many bytes of data takes (CMSG_SPACE).</summary>
    public int SpaceFor(int data) => HeaderSize + Align(data, Alignment);

    internal static int Align(int size, int alignment) => (size + alignment - 1) & ~(alignment - 1);
}

/// <summary>One item of control data.</summary>
internal readonly ref struct ControlItem(int level, int type, ReadOnlySpan<byte> data)
{
    public int Level => level;

    public int Type => type;

    public ReadOnlySpan<byte> Data { get; } = data;
}

/// <summary>Reads the items of control data.</summary>
internal ref struct ControlReader(ControlLayout layout, ReadOnlySpan<byte> control)
{
    private ReadOnlySpan<byte> _left = control;

    public bool TryRead(out ControlItem item)
    {
        item = default;
        if (_left.Length < layout.HeaderSize) return false;
        ulong length = layout.LengthSize == sizeof(ulong) ? MemoryMarshal.Read<ulong>(_left) : MemoryMarshal.Read<uint>(_left);
        if (length < (ulong)layout.HeaderSize || length > (ulong)_left.Length) return false;
        int level = MemoryMarshal.Read<int>(_left[layout.LengthSize..]);
        int type = MemoryMarshal.Read<int>(_left[(layout.LengthSize + sizeof(int))..]);
        item = new ControlItem(level, type, _left[layout.HeaderSize..(int)length]);
        _left = _left[Math.Min(ControlLayout.Align((int)length, layout.Alignment), _left.Length)..];
        return true;
    }
}

/// <summary>Writes items of control data into a buffer.</summary>
internal ref struct ControlWriter(ControlLayout layout, Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;

    /// <summary>How many bytes were written.</summary>
    public int Length { get; private set; }

    /// <summary>Appends an item. Throws if it does not fit.</summary>
    public void Write(int level, int type, ReadOnlySpan<byte> data)
    {
        int space = layout.SpaceFor(data.Length);
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
