using System.Runtime.InteropServices;

namespace Poller.Epoll;

// struct epoll_event has two layouts. On x86-64 the kernel packs it, so that 32-bit programs there share it (EPOLL_PACKED in
// linux/eventpoll.h). Everywhere else the 64-bit data is aligned.

[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct PackedEpollEvent
{
    public uint Events;
    public ulong Data;
}

[StructLayout(LayoutKind.Sequential)]
internal struct AlignedEpollEvent
{
    public uint Events;
    public ulong Data;
}

/// <summary>The array that one wait fills, in this machine's layout. It is pinned, so the garbage collector does not move it.</summary>
internal readonly struct EpollEventBuffer(int capacity)
{
    internal static readonly bool IsPacked = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86;

    private readonly byte[] _bytes = GC.AllocateArray<byte>(capacity * Stride, pinned: true);

    public int Capacity => _bytes.Length / Stride;

    public ref byte Memory => ref MemoryMarshal.GetArrayDataReference(_bytes);

    public (uint Events, ulong Data) this[int index]
    {
        get
        {
            if (IsPacked)
            {
                PackedEpollEvent packed = MemoryMarshal.Read<PackedEpollEvent>(_bytes.AsSpan(index * Stride));
                return (packed.Events, packed.Data);
            }
            AlignedEpollEvent aligned = MemoryMarshal.Read<AlignedEpollEvent>(_bytes.AsSpan(index * Stride));
            return (aligned.Events, aligned.Data);
        }
    }

    private static unsafe int Stride => IsPacked ? sizeof(PackedEpollEvent) : sizeof(AlignedEpollEvent);
}
