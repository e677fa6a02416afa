using System.Net.Sockets;
using System.Text;

namespace Poller.Net;

// The twin of ResolveUnixAddr in Go's net/unixsock.go. Unlike Go it says what is wrong with a name before the system call does, and it
// never cuts one.

/// <summary>Decodes the addresses of Unix sockets: a path, or <c>@</c> and an abstract name.</summary>
internal static class UnixAddress
{
    // sizeof(sun_path): <sys/un.h>, on Linux 108 and on the others 104. A path needs a NUL at its end; an abstract name has one in front.
    private static readonly int Room = OperatingSystem.IsLinux() ? 108 : 104;

    // Throws for a text that is not UTF-16, where UTF8Encoding would put another character in its place.
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>An address to dial or to send to.</summary>
    /// <exception cref="FormatException">The text is no path and no abstract name, or it is too long.</exception>
    public static UnixDomainSocketEndPoint ParseRemote(string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address is "" or "@") throw Malformed(address, "it names no socket; a path, or @ and an abstract name, was expected");
        return Parse(address);
    }

    /// <summary>An address to listen on. On Linux the empty text, and <c>@</c>, let the system choose an abstract name.</summary>
    /// <inheritdoc cref="ParseRemote"/>
    public static UnixDomainSocketEndPoint ParseLocal(string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return Parse(address.Length == 0 ? "@" : address);
    }

    /// <summary>Checks a Unix end point of the caller's.</summary>
    /// <exception cref="ArgumentException">
    /// It has a NUL inside its path, or it is to be dialed and names no socket, or it is abstract where only Linux has such names.
    /// </exception>
    public static UnixDomainSocketEndPoint Check(UnixDomainSocketEndPoint endPoint, bool isRemote, string parameter)
    {
        ArgumentNullException.ThrowIfNull(endPoint, parameter);
        ReadOnlySpan<byte> name = SocketAddressBytes.UnixName(endPoint);
        bool isAbstract = name is [0, ..];
        string? problem =
            isRemote && (name.IsEmpty || name is [0]) ? "it names no socket; a path or an abstract name was expected"
            : name.IsEmpty ? "it is the end point of a socket without a name; a path or an abstract name was expected"
            : isAbstract && !OperatingSystem.IsLinux() ? "only Linux has abstract names; a path was expected"
            : !isAbstract && name.Contains((byte)0) ? "it has a NUL; a path has none"
            : null;
        if (problem is null) return endPoint;
        throw new ArgumentException($"address \"{EndPoints.Show(endPoint.ToString())}\": {problem}.", parameter);
    }

    private static UnixDomainSocketEndPoint Parse(string address)
    {
        bool isAbstract = address[0] == '@';
        if (isAbstract && !OperatingSystem.IsLinux())
        {
            throw Malformed(address, "only Linux has abstract names and chooses names; a path was expected");
        }
        int length;
        try
        {
            length = Strict.GetByteCount(address);
        }
        catch (EncoderFallbackException)
        {
            throw Malformed(address, "half of a surrogate pair stands alone; a text that UTF-8 can encode was expected");
        }
        if (address.Contains('\0')) throw Malformed(address, "it has a NUL; a path or a name without one was expected");
        int most = Room - 1;
        int counted = isAbstract ? length - 1 : length;
        if (counted > most)
        {
            string what = isAbstract ? "an abstract name" : "a path";
            throw Malformed(address, $"it has {counted} bytes as UTF-8; {what} of a Unix socket has {most} at most");
        }
        return new UnixDomainSocketEndPoint(isAbstract ? string.Concat("\0", address.AsSpan(1)) : address);
    }

    private static FormatException Malformed(string address, string problem) =>
        new($"address \"{EndPoints.Show(address)}\": {problem}.");
}
