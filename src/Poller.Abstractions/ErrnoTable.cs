using System.Runtime.InteropServices;

namespace Poller.Abstractions;

/// <summary>The errors' numbers on one system.</summary>
internal sealed class ErrnoTable
{
    /// <summary>Marks a name that the system lacks. In the finished table each such name has a number of its own, from here down.</summary>
    public const int Absent = -1;

    // Linux: include/uapi/asm-generic/errno.h, which holds on every architecture that .NET runs on. BSD: <sys/errno.h> of macOS, FreeBSD,
    // NetBSD and OpenBSD. They agree from 1 to 78, except that some lack a name. EPROTO came later and differs on each. macOS has two
    // numbers for "not supported": 45, which it calls ENOTSUP, and EOPNOTSUPP for sockets.
    private static readonly (string Name, int Linux, int Bsd)[] Names =
    [
        ("EPERM", 1, 1),
        ("ENOENT", 2, 2),
        ("EINTR", 4, 4),
        ("EBADF", 9, 9),
        ("EAGAIN", 11, 35),
        ("ENOMEM", 12, 12),
        ("EACCES", 13, 13),
        ("EEXIST", 17, 17),
        ("EINVAL", 22, 22),
        ("ENFILE", 23, 23),
        ("EMFILE", 24, 24),
        ("ENOSPC", 28, 28),
        ("EPIPE", 32, 32),
        ("ENOSYS", 38, 78),
        ("ENOTSOCK", 88, 38),
        ("EDESTADDRREQ", 89, 39),
        ("EMSGSIZE", 90, 40),
        ("EPROTO", 71, Absent),
        ("EPROTOTYPE", 91, 41),
        ("ENOPROTOOPT", 92, 42),
        ("EPROTONOSUPPORT", 93, 43),
        ("EOPNOTSUPP", 95, 45),
        ("EAFNOSUPPORT", 97, 47),
        ("EADDRINUSE", 98, 48),
        ("EADDRNOTAVAIL", 99, 49),
        ("ENETDOWN", 100, 50),
        ("ENETUNREACH", 101, 51),
        ("ENETRESET", 102, 52),
        ("ENONET", 64, Absent),
        ("ECONNABORTED", 103, 53),
        ("ECONNRESET", 104, 54),
        ("ENOBUFS", 105, 55),
        ("EISCONN", 106, 56),
        ("ENOTCONN", 107, 57),
        ("ESHUTDOWN", 108, 58),
        ("ETOOMANYREFS", 109, 59),
        ("ETIMEDOUT", 110, 60),
        ("ECONNREFUSED", 111, 61),
        ("EHOSTDOWN", 112, 64),
        ("EHOSTUNREACH", 113, 65),
        ("EALREADY", 114, 37),
        ("EINPROGRESS", 115, 36),
    ];

    private readonly Dictionary<string, int> _numbers = [];
    private readonly Dictionary<int, string> _names = [];

    private ErrnoTable(Func<(string Name, int Linux, int Bsd), int> numberOf)
    {
        for (int i = 0; i < Names.Length; i++)
        {
            int number = numberOf(Names[i]);
            if (number == Absent) number -= i;
            _numbers.Add(Names[i].Name, number);
            _names.Add(number, Names[i].Name);
        }
    }

    public static ErrnoTable Linux { get; } = new(static entry => entry.Linux);

    public static ErrnoTable MacOS { get; } = Bsd(proto: 100, opNotSupp: 102);

    public static ErrnoTable FreeBSD { get; } = Bsd(proto: 92);

    public static ErrnoTable NetBSD { get; } = Bsd(proto: 96);

    public static ErrnoTable OpenBSD { get; } = Bsd(proto: 95);

    /// <summary>The table of the system that this process runs on. On an unknown system it is Linux's: names need numbers.</summary>
    public static ErrnoTable OfThisSystem { get; } =
        OperatingSystem.IsMacOS() ? MacOS
        : OperatingSystem.IsFreeBSD() ? FreeBSD
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("NETBSD")) ? NetBSD
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("OPENBSD")) ? OpenBSD
        : Linux;

    /// <summary>The number of a name; below 0 for a name that the system lacks.</summary>
    public int NumberOf(string name) => _numbers[name];

    /// <summary>The name of a number, or null.</summary>
    public string? NameOf(int number) => _names.GetValueOrDefault(number);

    private static ErrnoTable Bsd(int proto, int opNotSupp = 45) => new(entry => entry.Name switch
    {
        "EPROTO" => proto,
        "EOPNOTSUPP" => opNotSupp,
        _ => entry.Bsd,
    });
}
