using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

/// <summary>The tables against the headers, and the poller over a kernel that goes by each of them.</summary>
public class PlatformTests
{
    public static TheoryData<string, int?, uint> Excepts => new()
    {
        { "macOS", -15, 2 },
        { "FreeBSD", null, 0 },
        { "OpenBSD", -9, 4 },
        { "NetBSD", null, 0 },
        { "Linux", null, 0 },
    };

    // As <sys/event.h> and <sys/stat.h> of each system have them.
    public static TheoryData<string, int, int, int, int, string, string?, int, int> Tables => new()
    {
        // name, size, EVFILT_READ, EVFILT_WRITE, EVFILT_USER, kevent, fstat, offset of st_mode, its size
        { "macOS", 32, -1, -2, -10, "kevent", "fstat", 4, 2 },
        { "FreeBSD", 64, -1, -2, -11, "kevent", "fstat", 24, 2 },
        { "OpenBSD", 32, -1, -2, -10, "kevent", "fstat", 0, 4 },
        { "NetBSD", 40, 0, 1, 8, "__kevent50", "__fstat50", 8, 4 },
        { "Linux", 32, -1, -2, -11, "kevent", null, 28, 2 },
    };

    internal static IEnumerable<KqueuePlatform> All =>
        [KqueuePlatform.MacOS, KqueuePlatform.FreeBSD, KqueuePlatform.OpenBSD, KqueuePlatform.NetBSD, KqueuePlatform.Linux];

    [Theory]
    [MemberData(nameof(Tables))]
    public void The_numbers_are_the_systems(
        string name, int size, int read, int write, int user, string kevent, string? fstat, int modeOffset, int modeSize)
    {
        KqueuePlatform platform = All.Single(p => p.Name == name);
        Assert.Equal((size, read, write, user), (platform.EventSize, platform.EVFILT_READ, platform.EVFILT_WRITE, platform.EVFILT_USER));
        Assert.Equal((kevent, fstat), (platform.Kevent, platform.Fstat));
        Assert.Equal((modeOffset, modeSize), (platform.ModeOffset, platform.ModeSize));
        Assert.Equal(name == "macOS" ? "fstat$INODE64" : null, platform.FstatX64);
        Assert.Equal(name == "Linux" ? (0x5451u, 0x5421u) : (0x2000_6601u, 0x8004_667eu), (platform.FIOCLEX, platform.FIONBIO));
    }

    [Theory]
    [MemberData(nameof(Excepts))]
    public void Urgent_data_is_told_of_by_the_systems_filter(string name, int? except, uint oob)
    {
        KqueuePlatform platform = All.Single(p => p.Name == name);
        Assert.Equal((except, oob), (platform.EVFILT_EXCEPT, platform.NOTE_OOB));
    }

    [Fact]
    public void The_numbers_that_are_the_same_everywhere_are_right()
    {
        Assert.Equal<uint>(
            [0x1, 0x2, 0x4, 0x20, 0x40, 0x4000, 0x8000, 0x0100_0000],
            [KqueuePlatform.EV_ADD, KqueuePlatform.EV_DELETE, KqueuePlatform.EV_ENABLE, KqueuePlatform.EV_CLEAR, KqueuePlatform.EV_RECEIPT,
                KqueuePlatform.EV_ERROR, KqueuePlatform.EV_EOF, KqueuePlatform.NOTE_TRIGGER]);
        Assert.Equal<uint>(
            [0xf000, 0x4000, 0x6000, 0x8000],
            [KqueuePlatform.S_IFMT, KqueuePlatform.S_IFDIR, KqueuePlatform.S_IFBLK, KqueuePlatform.S_IFREG]);
    }

    [Fact]
    public void The_common_event_is_that_of_macOS_OpenBSD_and_libkqueue()
    {
        CommonKEvent e = default;
        Assert.Equal(32, Unsafe.SizeOf<CommonKEvent>());
        Assert.Equal(
            [0, 8, 10, 12, 16, 24],
            [Offset(ref e, ref e.Ident), Offset(ref e, ref e.Filter), Offset(ref e, ref e.Flags), Offset(ref e, ref e.Fflags),
                Offset(ref e, ref e.Data), Offset(ref e, ref e.Udata)]);
    }

    [Fact]
    public void The_FreeBSD_event_has_four_words_behind_it()
    {
        FreeBsdKEvent e = default;
        Assert.Equal(64, Unsafe.SizeOf<FreeBsdKEvent>());
        Assert.Equal(
            [0, 8, 10, 12, 16, 24, 32, 40, 48, 56],
            [Offset(ref e, ref e.Event.Ident), Offset(ref e, ref e.Event.Filter), Offset(ref e, ref e.Event.Flags),
                Offset(ref e, ref e.Event.Fflags), Offset(ref e, ref e.Event.Data), Offset(ref e, ref e.Event.Udata),
                Offset(ref e, ref e.Ext0), Offset(ref e, ref e.Ext1), Offset(ref e, ref e.Ext2), Offset(ref e, ref e.Ext3)]);
    }

    [Fact]
    public void The_NetBSD_event_has_a_wide_filter_and_wide_flags()
    {
        NetBsdKEvent e = default;
        Assert.Equal(40, Unsafe.SizeOf<NetBsdKEvent>());
        Assert.Equal(
            [0, 8, 12, 16, 24, 32],
            [Offset(ref e, ref e.Ident), Offset(ref e, ref e.Filter), Offset(ref e, ref e.Flags), Offset(ref e, ref e.Fflags),
                Offset(ref e, ref e.Data), Offset(ref e, ref e.Udata)]);
    }

    [Fact]
    public void An_event_is_read_as_it_was_written_at_its_place_in_the_array()
    {
        foreach (KqueuePlatform platform in All)
        {
            byte[] events = new byte[3 * platform.EventSize];
            Array.Fill<byte>(events, 0xee);
            KEvent written = new(0x7fff_0001, platform.EVFILT_WRITE, 0xc021, 0xfedc_ba98, -3, 0xfedc_ba98_7654_3210);

            KEvents.Write(events, 1, platform.Layout, written);

            Assert.Equal(written, KEvents.Read(events, 1, platform.Layout));
            Assert.All(events[..platform.EventSize], b => Assert.Equal(0xee, b));
            Assert.All(events[(2 * platform.EventSize)..], b => Assert.Equal(0xee, b));
        }
    }

    [Theory]
    [InlineData("macOS", "ffffff7f00000000feff21c098badcfefdffffffffffffff1032547698badcfe")]
    [InlineData("NetBSD", "ffffff7f000000000100000021c0000098badcfe00000000fdffffffffffffff1032547698badcfe")]
    public void The_bytes_are_those_of_C(string name, string bytes)
    {
        KqueuePlatform platform = All.Single(p => p.Name == name);
        byte[] events = new byte[platform.EventSize];

        KEvents.Write(events, 0, platform.Layout, new(int.MaxValue, platform.EVFILT_WRITE, 0xc021, 0xfedc_ba98, -3, 0xfedc_ba98_7654_3210));

        Assert.True(BitConverter.IsLittleEndian);
        Assert.Equal(bytes, Convert.ToHexStringLower(events));
    }

    [Theory]
    [Trait("Kernel", "emulated")]
    [InlineData("macOS", true)]
    [InlineData("FreeBSD", true)]
    [InlineData("OpenBSD", true)]
    [InlineData("OpenBSD", false)]
    [InlineData("NetBSD", true)]
    [InlineData("NetBSD", false)]
    [InlineData("Linux", true)]
    public void The_poller_works_by_each_of_them(string name, bool hasUserFilter)
    {
        EmulatedKernel kernel = new(All.Single(p => p.Name == name)) { HasUserFilter = hasUserFilter };
        using KqueueNetpoll poller = new(kernel);
        poller.Init();
        (Fd near, Fd far) = Fd.SocketPair();
        using (near)
        using (far)
        {
            PollToken token = new(0xfedc_ba98_7654_3210);
            PollEvent[] events = new PollEvent[4];
            Assert.Equal(Errno.None, poller.Open(near, token));
            Assert.Equal(1, poller.Poll(events, -1));
            Assert.Equal(new PollEvent(token, PollReadiness.Writable), events[0]);

            far.Write();
            Assert.Equal(1, poller.Poll(events, -1));
            PollReadiness readable = PollReadiness.Readable;
            if (kernel.Platform.EVFILT_EXCEPT is null) readable |= PollReadiness.ReadHangup;
            Assert.Equal(new PollEvent(token, readable), events[0]);
            Assert.Equal(Errno.EEXIST, poller.Open(near, new PollToken(1)));

            while (poller.Poll(events, 0) > 0) { } // What the second Open had the kernel look at again.

            poller.Break();
            poller.Break();
            Assert.Equal(0, poller.Poll(events, 0));
            Assert.Equal(0, poller.Poll(events, -1));
            Assert.Equal(0, poller.Poll(events, 1));
            Assert.Equal(!hasUserFilter, poller.HasPipe);

            Assert.Equal(Errno.None, poller.Close(near));
            Assert.Equal(Errno.ENOENT, poller.Close(near));
        }
    }

    private static int Offset<TStruct, TField>(ref TStruct start, ref TField field) =>
        (int)Unsafe.ByteOffset(ref Unsafe.As<TStruct, byte>(ref start), ref Unsafe.As<TField, byte>(ref field));
}
