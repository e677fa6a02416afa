using System.Runtime.InteropServices;

namespace Poller.Net.Tests;

/// <summary>The tables of macOS and the BSDs against their headers, and the choice among the systems.</summary>
public sealed class SocketNumbersTests
{
    private static readonly SocketNumbers[] All = [SocketNumbers.MacOS, SocketNumbers.FreeBSD, SocketNumbers.NetBSD, SocketNumbers.OpenBSD];

    [Theory]
    [InlineData("macOS", 30, 0, 0x1022, 0x1080, 0x10, 0x101, 0x102)]
    [InlineData("FreeBSD", 28, 0x20000, 0, 0x80, 0x100, 0x200, 0x400)]
    [InlineData("NetBSD", 24, 0x400, 0, 0x80, 3, 5, 6)]
    [InlineData("OpenBSD", 24, 0x400, 0, 0x80, 0, 0, 0)]
    public void The_numbers_are_the_systems(
        string name, int inet6, int noSignal, int noSigPipe, int linger, int idle, int interval, int count)
    {
        SocketNumbers os = All.Single(p => p.Name == name);
        Assert.Equal((inet6, noSignal, noSigPipe, linger), (os.AF_INET6, os.MSG_NOSIGNAL, os.SO_NOSIGPIPE, os.SO_LINGER));
        Assert.Equal((idle, interval, count), (os.TCP_KEEPIDLE, os.TCP_KEEPINTVL, os.TCP_KEEPCNT));
        Assert.Equal(name == "FreeBSD", os.InheritsTcpOptions);
        Assert.Equal(name == "macOS", os.AcceptsTheDead);
    }

    [Fact]
    public void The_numbers_that_are_the_same_everywhere_are_right()
    {
        Assert.All(All, os =>
        {
            Assert.Equal((2, 1, 2, 0x80), (os.AF_INET, os.SOCK_STREAM, os.MSG_PEEK, os.MSG_DONTWAIT));
            Assert.Equal((0xffff, 4, 8, 0x1007), (os.SOL_SOCKET, os.SO_REUSEADDR, os.SO_KEEPALIVE, os.SO_ERROR));
            Assert.Equal((6, 1, 41, 27), (os.IPPROTO_TCP, os.TCP_NODELAY, os.IPPROTO_IPV6, os.IPV6_V6ONLY));
            Assert.Equal((0x2000_6601u, 0x8004_667eu, 8), (os.FIOCLEX, os.FIONBIO, os.RLIMIT_NOFILE));
        });
    }

    [Fact]
    public void No_write_raises_a_signal() => Assert.All(All, os => Assert.True(os.MSG_NOSIGNAL != 0 ^ os.SO_NOSIGPIPE != 0));

    [Theory]
    [InlineData("LINUX", null)]
    [InlineData("OSX", "macOS")]
    [InlineData("FREEBSD", "FreeBSD")]
    [InlineData("NETBSD", "NetBSD")]
    [InlineData("OPENBSD", "OpenBSD")]
    public void The_calls_are_chosen_by_the_system(string os, string? name)
    {
        ISocketApi api = SystemSocketApi.For(platform => platform == OSPlatform.Create(os), "it");

        if (name is null) Assert.IsType<LinuxSocketApi>(api);
        else Assert.Equal(name, Assert.IsType<BsdSocketApi>(api).Numbers.Name);
    }

    [Fact]
    public void Another_system_is_told_what_was_expected()
    {
        PlatformNotSupportedException error = Assert.Throws<PlatformNotSupportedException>(() => SystemSocketApi.For(_ => false, "Plan 9"));

        Assert.Equal("socket calls: Linux, macOS or a BSD was expected, and this one is Plan 9.", error.Message);
    }
}
