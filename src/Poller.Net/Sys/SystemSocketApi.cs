using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>Chooses the socket calls by the system.</summary>
internal static class SystemSocketApi
{
    /// <summary>Those of the system this process runs on.</summary>
    /// <exception cref="PlatformNotSupportedException">There are none for it.</exception>
    public static ISocketApi Current => For(RuntimeInformation.IsOSPlatform, RuntimeInformation.OSDescription);

    /// <summary>Those of the system that <paramref name="isOS"/> says yes to.</summary>
    /// <exception cref="PlatformNotSupportedException">There are none for it, which <paramref name="description"/> describes.</exception>
    public static ISocketApi For(Predicate<OSPlatform> isOS, string description)
    {
        if (isOS(OSPlatform.Linux)) return LinuxSocketApi.Instance;
        if (isOS(OSPlatform.OSX)) return new BsdSocketApi(SocketNumbers.MacOS);
        if (isOS(OSPlatform.FreeBSD)) return new BsdSocketApi(SocketNumbers.FreeBSD);
        if (isOS(OSPlatform.Create("NETBSD"))) return new BsdSocketApi(SocketNumbers.NetBSD);
        if (isOS(OSPlatform.Create("OPENBSD"))) return new BsdSocketApi(SocketNumbers.OpenBSD);
        throw new PlatformNotSupportedException($"socket calls: Linux, macOS or a BSD was expected, and this one is {description}.");
    }
}
