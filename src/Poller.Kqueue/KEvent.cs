using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Poller.Kqueue;

// struct kevent has three layouts on 64-bit systems. The fields have the names of <sys/event.h>.

/// <summary>struct kevent of macOS, OpenBSD and libkqueue.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CommonKEvent
{
    public nuint Ident;
    public short Filter;
    public ushort Flags;
    public uint Fflags;
    public long Data;
    public ulong Udata;
}

/// <summary>struct kevent of FreeBSD since 12: it has four more words.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FreeBsdKEvent
{
    public CommonKEvent Event;
    public ulong Ext0;
    public ulong Ext1;
    public ulong Ext2;
    public ulong Ext3;
}

/// <summary>struct kevent of NetBSD's __kevent50: filter and flags are wider, so the data has a larger offset.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NetBsdKEvent
{
    public nuint Ident;
    public uint Filter;
    public uint Flags;
    public uint Fflags;
    public long Data;
    public ulong Udata;
}

internal enum KEventLayout
{
    Common,
    FreeBsd,
    NetBsd,
}

/// <summary>The fields of a struct kevent, whatever its layout.</summary>
internal readonly record struct KEvent(nuint Ident, int Filter, uint Flags, uint Fflags, long Data, ulong Udata);

/// <summary>Reads and writes an array of struct kevent in a given layout.</summary>
internal static class KEvents
{
    public static int SizeOf(KEventLayout layout) => layout switch
    {
        KEventLayout.Common => Unsafe.SizeOf<CommonKEvent>(),
        KEventLayout.FreeBsd => Unsafe.SizeOf<FreeBsdKEvent>(),
        KEventLayout.NetBsd => Unsafe.SizeOf<NetBsdKEvent>(),
        _ => throw new ArgumentOutOfRangeException(nameof(layout), layout, "a layout of struct kevent was expected"),
    };

    public static KEvent Read(ReadOnlySpan<byte> events, int index, KEventLayout layout)
    {
        ReadOnlySpan<byte> bytes = events[(index * SizeOf(layout))..];
        if (layout == KEventLayout.NetBsd)
        {
            NetBsdKEvent wide = MemoryMarshal.Read<NetBsdKEvent>(bytes);
            return new(wide.Ident, (int)wide.Filter, wide.Flags, wide.Fflags, wide.Data, wide.Udata);
        }
        CommonKEvent common = MemoryMarshal.Read<CommonKEvent>(bytes);
        return new(common.Ident, common.Filter, common.Flags, common.Fflags, common.Data, common.Udata);
    }

    public static void Write(Span<byte> events, int index, KEventLayout layout, in KEvent value)
    {
        Span<byte> bytes = events.Slice(index * SizeOf(layout), SizeOf(layout));
        bytes.Clear();
        if (layout == KEventLayout.NetBsd)
        {
            MemoryMarshal.Write(bytes, new NetBsdKEvent
            {
                Ident = value.Ident,
                Filter = (uint)value.Filter,
                Flags = value.Flags,
                Fflags = value.Fflags,
                Data = value.Data,
                Udata = value.Udata,
            });
            return;
        }
        MemoryMarshal.Write(bytes, new CommonKEvent
        {
            Ident = value.Ident,
            Filter = (short)value.Filter,
            Flags = (ushort)value.Flags,
            Fflags = value.Fflags,
            Data = value.Data,
            Udata = value.Udata,
        });
    }
}
