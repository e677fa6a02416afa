using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Poller.Epoll.Tests;

public class EventLayoutTests
{
    [Fact]
    public void The_packed_event_is_that_of_x64()
    {
        Assert.Equal(12, Unsafe.SizeOf<PackedEpollEvent>());
        Assert.Equal(0, Marshal.OffsetOf<PackedEpollEvent>(nameof(PackedEpollEvent.Events)));
        Assert.Equal(4, Marshal.OffsetOf<PackedEpollEvent>(nameof(PackedEpollEvent.Data)));
        Assert.Equal(4, OffsetOfData(default(PackedEpollEvent)));
    }

    [Fact]
    public void The_aligned_event_is_that_of_arm64()
    {
        Assert.Equal(16, Unsafe.SizeOf<AlignedEpollEvent>());
        Assert.Equal(0, Marshal.OffsetOf<AlignedEpollEvent>(nameof(AlignedEpollEvent.Events)));
        Assert.Equal(8, Marshal.OffsetOf<AlignedEpollEvent>(nameof(AlignedEpollEvent.Data)));
        Assert.Equal(8, OffsetOfData(default(AlignedEpollEvent)));
    }

    [Fact]
    public void The_layout_is_that_of_this_process() =>
        Assert.Equal(RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86, EpollEventBuffer.IsPacked);

    [Fact]
    public void The_buffer_reads_what_the_kernel_writes_at_its_offsets()
    {
        EpollEventBuffer buffer = new(3);
        int stride = EpollEventBuffer.IsPacked ? 12 : 16, data = EpollEventBuffer.IsPacked ? 4 : 8;
        Span<byte> memory = MemoryMarshal.CreateSpan(ref buffer.Memory, 3 * stride);

        MemoryMarshal.Write(memory[(2 * stride)..], 0x8000_2001u);
        MemoryMarshal.Write(memory[(2 * stride + data)..], 0xfedc_ba98_7654_3210);

        Assert.Equal(3, buffer.Capacity);
        Assert.Equal((0x8000_2001u, 0xfedc_ba98_7654_3210), buffer[2]);
        Assert.Equal((0u, 0UL), buffer[1]);
    }

    // The managed layout, which the pointers handed to the kernel go by; Marshal knows the marshalled one.
    private static long OffsetOfData(PackedEpollEvent e) =>
        Unsafe.ByteOffset(ref Unsafe.As<uint, byte>(ref e.Events), ref Unsafe.As<ulong, byte>(ref e.Data));

    private static long OffsetOfData(AlignedEpollEvent e) =>
        Unsafe.ByteOffset(ref Unsafe.As<uint, byte>(ref e.Events), ref Unsafe.As<ulong, byte>(ref e.Data));
}
