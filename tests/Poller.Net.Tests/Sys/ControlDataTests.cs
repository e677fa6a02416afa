using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace Poller.Net.Tests;

/// <summary>Control data in the layout of each system.</summary>
public sealed class ControlDataTests
{
    private static readonly ControlLayout[] Layouts = [SocketNumbers.Linux.ControlLayout, SocketNumbers.MacOS.ControlLayout, new(4, 8)];

    /// <summary>The layouts, by their place.</summary>
    public static TheoryData<int> All => [0, 1, 2];

    [Theory, MemberData(nameof(All))]
    public void What_was_written_is_read(int layout)
    {
        byte[] buffer = new byte[256];
        ControlWriter writer = new(Layouts[layout], buffer);
        for (int length = 0; length < 9; length++) writer.Write(length, -length, Enumerable.Repeat((byte)length, length).ToArray());
        Assert.Equal(Enumerable.Range(0, 9).Sum(Layouts[layout].SpaceFor), writer.Length);

        ControlReader reader = new(Layouts[layout], buffer.AsSpan(0, writer.Length));
        for (int length = 0; length < 9; length++)
        {
            Assert.True(reader.TryRead(out ControlItem item));
            Assert.Equal((length, -length, length), (item.Level, item.Type, item.Data.Length));
            Assert.True(item.Data.IndexOfAnyExcept((byte)length) < 0);
        }
        Assert.False(reader.TryRead(out _));
    }

    [Theory, MemberData(nameof(All))]
    public void An_item_that_does_not_fit_is_refused_and_nothing_is_written(int layout)
    {
        byte[] buffer = new byte[Layouts[layout].SpaceFor(4)];
        Assert.Throws<ArgumentException>(() => new ControlWriter(Layouts[layout], buffer).Write(1, 2, new byte[9]));
        Assert.Equal(new byte[buffer.Length], buffer);
        Assert.Throws<ArgumentOutOfRangeException>(() => ControlWriter.SpaceFor(-1));
    }

    [Fact]
    public void A_size_that_no_buffer_has_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => ControlWriter.SpaceFor(int.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => ControlWriter.SpaceFor(int.MaxValue - 16));
        Assert.True(ControlWriter.SpaceFor(int.MaxValue - 64) > int.MaxValue - 64);
    }

    [Fact]
    public void A_writer_without_a_buffer_says_what_was_expected()
    {
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => default(ControlWriter).Write(1, 2, [3]));
        Assert.Contains("a writer with a buffer was expected", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, default(ControlWriter).Length);
    }

    [Theory, MemberData(nameof(All))]
    public void A_length_that_lies_ends_the_row(int layout)
    {
        foreach (ulong length in (ulong[])[0, 1, 11, 33, uint.MaxValue, ulong.MaxValue])
        {
            byte[] buffer = new byte[32];
            if (Layouts[layout].LengthSize == 8) BinaryPrimitives.WriteUInt64LittleEndian(buffer, length);
            else BinaryPrimitives.WriteUInt32LittleEndian(buffer, (uint)length);
            ControlReader reader = new(Layouts[layout], buffer);
            Assert.False(reader.TryRead(out _));
        }
        Assert.False(default(ControlReader).TryRead(out _));
    }

    /// <summary>Any bytes: the reader ends, and each item lies inside them.</summary>
    [Property(MaxTest = 2000)]
    public Property Any_bytes_are_read_to_an_end() => Prop.ForAll(
        ArbMap.Default.ArbFor<(byte[] Bytes, byte[] Lengths)>(),
        input => Layouts.All(layout => Ends(layout, Plant(input.Bytes, input.Lengths))));

    // Bytes at random are seldom a length that fits, so small lengths are planted among them.
    private static byte[] Plant(byte[]? bytes, byte[]? lengths)
    {
        byte[] planted = [.. bytes ?? [], .. (lengths ?? []).SelectMany(static length => (byte[])[(byte)(length % 40), .. new byte[7]])];
        return planted;
    }

    private static bool Ends(ControlLayout layout, byte[] bytes)
    {
        ControlReader reader = new(layout, bytes);
        int items = 0, taken = 0;
        while (reader.TryRead(out ControlItem item))
        {
            items++;
            taken += layout.HeaderSize + item.Data.Length;
        }
        PacketInfo.TryRead(bytes, out _);
        return taken <= bytes.Length && items <= bytes.Length / layout.HeaderSize;
    }
}
