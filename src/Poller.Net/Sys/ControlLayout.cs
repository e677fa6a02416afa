namespace Poller.Net;

// The CMSG macros of cmsg(3): control data is a row of headers (length, level, type), each followed by its data. Header and data are padded
// to a border.

/// <summary>How a system lays out control data.</summary>
/// <param name="LengthSize">The size of the length in a header, in bytes: that of size_t or of socklen_t.</param>
/// <param name="Alignment">What header and data are padded to, in bytes.</param>
internal sealed record ControlLayout(int LengthSize, int Alignment)
{
    /// <summary>The layout of the system that this process runs on.</summary>
    public static ControlLayout Current => SystemSocketApi.Current.ControlLayout;

    /// <summary>The bytes from the start of a header to its data (CMSG_LEN(0)).</summary>
    public int HeaderSize { get; } = Align(LengthSize + 2 * sizeof(int), Alignment);

    /// <summary>The most data of an item whose room an int counts, in bytes.</summary>
    public int MaxData { get; } = int.MaxValue - Align(LengthSize + 2 * sizeof(int), Alignment) - Alignment;

    /// <summary>The room that an item with so many bytes of data takes (CMSG_SPACE).</summary>
    public int SpaceFor(int data) => HeaderSize + Align(data, Alignment);

    internal static int Align(int size, int alignment) => (size + alignment - 1) & ~(alignment - 1);
}
