namespace Poller.Net;

/// <summary>
/// Between the errors' numbers on macOS and the BSDs and Linux's, which the layers above go by. Both took 1 to 34 from Unix, but for
/// EDEADLK and EAGAIN, which are each other's; the sockets' came later.
/// </summary>
internal static class BsdErrno
{
    // What has no number in the layers above keeps its own, out of the way of all others.
    private const int Unnamed = 1000;

    private const int LastOfUnix = 34;

    // <sys/errno.h> of macOS, FreeBSD, NetBSD and OpenBSD, which agree from 35 to 78, and include/uapi/asm-generic/errno.h of Linux.
    private static readonly (int Bsd, int Linux)[] Pairs =
    [
        (11, 35), // EDEADLK
        (35, Errno.EAGAIN),
        (36, Errno.EINPROGRESS),
        (37, Errno.EALREADY),
        (38, 88), // ENOTSOCK
        (39, 89), // EDESTADDRREQ
        (40, 90), // EMSGSIZE
        (41, 91), // EPROTOTYPE
        (42, 92), // ENOPROTOOPT
        (43, Errno.EPROTONOSUPPORT),
        (44, 94), // ESOCKTNOSUPPORT
        (45, Errno.EOPNOTSUPP), // On macOS ENOTSUP, which means the same.
        (46, 96), // EPFNOSUPPORT
        (47, Errno.EAFNOSUPPORT),
        (48, Errno.EADDRINUSE),
        (49, Errno.EADDRNOTAVAIL),
        (50, Errno.ENETDOWN),
        (51, Errno.ENETUNREACH),
        (52, Errno.ENETRESET),
        (53, Errno.ECONNABORTED),
        (54, Errno.ECONNRESET),
        (55, Errno.ENOBUFS),
        (56, Errno.EISCONN),
        (57, Errno.ENOTCONN),
        (58, Errno.ESHUTDOWN),
        (59, 109), // ETOOMANYREFS
        (60, Errno.ETIMEDOUT),
        (61, Errno.ECONNREFUSED),
        (62, 40), // ELOOP
        (63, 36), // ENAMETOOLONG
        (64, Errno.EHOSTDOWN),
        (65, Errno.EHOSTUNREACH),
        (66, 39), // ENOTEMPTY
        (77, 37), // ENOLCK
        (78, 38), // ENOSYS
    ];

    /// <summary>Linux's number for an error of this system.</summary>
    public static int ToLinux(int bsd)
    {
        const int OpNotSuppOfMacOS = 102; // Taken by nothing else on the others, whose last is below.
        foreach ((int from, int to) in Pairs)
        {
            if (from == bsd) return to;
        }
        return bsd == OpNotSuppOfMacOS ? Errno.EOPNOTSUPP : bsd <= LastOfUnix ? bsd : Unnamed + bsd;
    }

    /// <summary>This system's number for an error that <see cref="ToLinux"/> gave.</summary>
    public static int ToSystem(int linux)
    {
        foreach ((int to, int from) in Pairs)
        {
            if (from == linux) return to;
        }
        return linux > Unnamed ? linux - Unnamed : linux;
    }
}
