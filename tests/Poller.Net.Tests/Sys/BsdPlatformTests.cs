using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net.Tests;

/// <summary>The tables of macOS and the BSDs against their headers, and the choice among the systems.</summary>
public sealed class BsdPlatformTests
{
    private static readonly BsdPlatform[] All = [BsdPlatform.MacOS, BsdPlatform.FreeBSD, BsdPlatform.NetBSD, BsdPlatform.OpenBSD];

    [Theory]
    [InlineData("macOS", 30, 0, 0x1022, 0x1080, 0x10, 0x101, 0x102)]
    [InlineData("FreeBSD", 28, 0x20000, 0, 0x80, 0x100, 0x200, 0x400)]
    [InlineData("NetBSD", 24, 0x400, 0, 0x80, 3, 5, 6)]
    [InlineData("OpenBSD", 24, 0x400, 0, 0x80, 0, 0, 0)]
    public void The_numbers_are_the_systems(
        string name, int inet6, int noSignal, int noSigPipe, int linger, int idle, int interval, int count)
    {
        BsdPlatform os = All.Single(p => p.Name == name);
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
            Assert.Equal((2, 1, 2), (os.AF_INET, os.SOCK_STREAM, os.MSG_PEEK));
            Assert.Equal((0xffff, 4, 8, 0x1007), (os.SOL_SOCKET, os.SO_REUSEADDR, os.SO_KEEPALIVE, os.SO_ERROR));
            Assert.Equal((6, 1, 41, 27), (os.IPPROTO_TCP, os.TCP_NODELAY, os.IPPROTO_IPV6, os.IPV6_V6ONLY));
            Assert.Equal((0x2000_6601u, 0x8004_667eu, 8), (os.FIOCLEX, os.FIONBIO, os.RLIMIT_NOFILE));
        });
    }

    [Fact]
    public void No_write_raises_a_signal() => Assert.All(All, os => Assert.True(os.MSG_NOSIGNAL != 0 ^ os.SO_NOSIGPIPE != 0));

    [Theory]
    [InlineData(1, Errno.EPERM)]
    [InlineData(4, Errno.EINTR)]
    [InlineData(9, Errno.EBADF)]
    [InlineData(12, Errno.ENOMEM)]
    [InlineData(13, Errno.EACCES)]
    [InlineData(17, Errno.EEXIST)]
    [InlineData(22, Errno.EINVAL)]
    [InlineData(23, Errno.ENFILE)]
    [InlineData(24, Errno.EMFILE)]
    [InlineData(28, Errno.ENOSPC)]
    [InlineData(32, Errno.EPIPE)]
    [InlineData(35, Errno.EAGAIN)]
    [InlineData(36, Errno.EINPROGRESS)]
    [InlineData(37, Errno.EALREADY)]
    [InlineData(43, Errno.EPROTONOSUPPORT)]
    [InlineData(45, Errno.EOPNOTSUPP)]
    [InlineData(47, Errno.EAFNOSUPPORT)]
    [InlineData(48, Errno.EADDRINUSE)]
    [InlineData(49, Errno.EADDRNOTAVAIL)]
    [InlineData(50, Errno.ENETDOWN)]
    [InlineData(51, Errno.ENETUNREACH)]
    [InlineData(52, Errno.ENETRESET)]
    [InlineData(53, Errno.ECONNABORTED)]
    [InlineData(54, Errno.ECONNRESET)]
    [InlineData(55, Errno.ENOBUFS)]
    [InlineData(56, Errno.EISCONN)]
    [InlineData(57, Errno.ENOTCONN)]
    [InlineData(58, Errno.ESHUTDOWN)]
    [InlineData(60, Errno.ETIMEDOUT)]
    [InlineData(61, Errno.ECONNREFUSED)]
    [InlineData(64, Errno.EHOSTDOWN)]
    [InlineData(65, Errno.EHOSTUNREACH)]
    public void An_error_goes_there_and_back(int bsd, int linux)
    {
        Assert.Equal(linux, BsdErrno.ToLinux(bsd));
        Assert.Equal(bsd, BsdErrno.ToSystem(linux));
    }

    [Fact]
    public void Every_error_that_the_layers_tell_apart_has_a_number_there()
    {
        const int LastOfUnix = 34;
        IEnumerable<int> known = typeof(Errno).GetFields().Where(f => f.IsLiteral).Select(f => (int)f.GetRawConstantValue()!);
        Assert.All(known, linux => Assert.True(linux <= LastOfUnix && linux != Errno.EAGAIN || BsdErrno.ToSystem(linux) != linux));
    }

    [Fact]
    public void Every_number_comes_back_and_no_two_are_one_but_for_the_second_name_of_EOPNOTSUPP()
    {
        const int Last = 106, MacOSOpNotSupp = 102;
        Dictionary<int, int> seen = [];
        for (int bsd = 1; bsd <= Last; bsd++)
        {
            int linux = BsdErrno.ToLinux(bsd);
            if (bsd == MacOSOpNotSupp)
            {
                Assert.Equal(Errno.EOPNOTSUPP, linux);
                continue;
            }
            Assert.True(seen.TryAdd(linux, bsd), $"{bsd} and {seen[linux]} are both {linux}");
            Assert.Equal(bsd, BsdErrno.ToSystem(linux));
        }
    }

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
        else Assert.Equal(name, Assert.IsType<BsdSocketApi>(api).Platform.Name);
    }

    [Fact]
    public void Another_system_is_told_what_was_expected()
    {
        PlatformNotSupportedException error = Assert.Throws<PlatformNotSupportedException>(() => SystemSocketApi.For(_ => false, "Plan 9"));

        Assert.Equal("socket calls: Linux, macOS or a BSD was expected, and this one is Plan 9.", error.Message);
    }

    [Fact]
    public void An_error_is_told_in_the_systems_own_words_by_its_own_number()
    {
        SocketException error = Errno.ToException(Errno.ECONNREFUSED);

        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        Assert.Equal(Marshal.GetPInvokeErrorMessage(OperatingSystem.IsLinux() ? 111 : 61), error.Message);
    }
}
