using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>Finds the socket calls of a system.</summary>
internal static class SystemSocketApi
{
    /// <summary>The socket calls of the system that this process runs on.</summary>
    /// <exception cref="PlatformNotSupportedException">There are none for this system.</exception>
    public static ISocketApi Current => For(RuntimeInformation.IsOSPlatform, RuntimeInformation.OSDescription);

    /// <summary>The socket calls of the system for which <paramref name="isOS"/> returns true.</summary>
    /// <exception cref="PlatformNotSupportedException">
    /// There are none for this system. The message contains its <paramref name="description"/>.
    /// </exception>
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
