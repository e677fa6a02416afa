using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

public class KqueueFactoryTests
{
    private readonly KqueueNetpollFactory _factory = new();

    [Fact]
    public void The_factory_is_called_kqueue() => Assert.Equal("kqueue", _factory.Name);

    [Fact]
    public void What_is_supported_is_made_and_what_is_not_says_why()
    {
        if (_factory.IsSupported(out string? reason))
        {
            Assert.Null(reason);
            using INetpoll poller = _factory.Create();
            Assert.Equal(("kqueue", PollTrigger.Edge), (poller.Name, poller.Trigger));
            Assert.Throws<InvalidOperationException>(poller.Break);
        }
        else
        {
            Assert.Equal($"kqueue: {reason}.", Assert.Throws<PlatformNotSupportedException>(_factory.Create).Message);
            Assert.Equal($"kqueue: {reason}.", Assert.Throws<PlatformNotSupportedException>(() => new KqueueNetpoll()).Message);
        }
    }

    [Fact]
    public void A_system_without_kqueue_is_told_what_was_expected()
    {
        string reason = WhyNot(null, null);

        Assert.StartsWith(
            "it needs macOS, FreeBSD, OpenBSD or NetBSD, or Linux with a kqueue library, and this process runs on ",
            reason,
            StringComparison.Ordinal);
    }

    [LinuxFact]
    [Trait("Kernel", "emulated")]
    public void Linux_without_a_library_is_told_where_it_was_looked_for()
    {
        if (KqueueApi.TryLoad(KqueuePlatform.Linux, null, out _, out string? reason)) return; // One is installed.

        Assert.Equal(
            "on Linux it needs a kqueue library: the dynamic loader finds no libkqueue.so.0, and POLLER_KQUEUE_LIBRARY, "
            + "which may name another, is not set",
            reason);
        Assert.Equal(reason, WhyNot(KqueuePlatform.Linux, ""));
    }

    [LinuxFact]
    [Trait("Kernel", "emulated")]
    public void A_path_without_a_file_is_named()
    {
        Assert.Equal(
            "POLLER_KQUEUE_LIBRARY is \"/nowhere/libkqueue.so\", which is no file; the path of a kqueue library was expected",
            WhyNot(KqueuePlatform.Linux, "/nowhere/libkqueue.so"));
        Assert.Equal(
            "POLLER_KQUEUE_LIBRARY is \"/\", which is no file; the path of a kqueue library was expected",
            WhyNot(KqueuePlatform.Linux, "/"));
    }

    [LinuxFact]
    [Trait("Kernel", "emulated")]
    public void A_file_that_is_no_library_is_named()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "This is a kqueue.");
            Assert.StartsWith(
                $"POLLER_KQUEUE_LIBRARY is \"{path}\", which cannot be loaded; a kqueue library was expected: ",
                WhyNot(KqueuePlatform.Linux, path),
                StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [LinuxFact]
    [Trait("Kernel", "emulated")]
    public void A_library_without_a_kqueue_is_named()
    {
        string path = Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "libSystem.Native.so");

        Assert.Equal(
            $"POLLER_KQUEUE_LIBRARY is \"{path}\", which has no function kqueue; a kqueue library was expected",
            WhyNot(KqueuePlatform.Linux, path));
    }

    [LinuxFact]
    [Trait("Kernel", "emulated")]
    public void A_C_library_without_a_kqueue_says_so()
    {
        foreach (KqueuePlatform platform in PlatformTests.All.Where(p => p != KqueuePlatform.Linux))
        {
            Assert.Equal("the C library has no function kqueue; a kqueue library was expected", WhyNot(platform, null));
        }
    }

    private static string WhyNot(KqueuePlatform? platform, string? path)
    {
        Assert.False(KqueueApi.TryLoad(platform, path, out KqueueApi? api, out string? reason));
        Assert.Null(api);
        return reason;
    }
}

/// <summary>The emulator's factory.</summary>
[Trait("Kernel", "emulated")]
public sealed class EmulatedKqueueFactoryTests() : FactoryTests(new EmulatedKqueueFactory(), "kqueue", PollTrigger.Edge);

/// <summary>A test that needs Linux.</summary>
public sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "needs Linux";
    }
}
