using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>The numbers of one system's socket calls.</summary>
internal sealed record SocketNumbers
{
    /// <summary>Linux: include/uapi/asm-generic/socket.h, include/uapi/linux/tcp.h, include/uapi/linux/in6.h.</summary>
    public static readonly SocketNumbers Linux = new()
    {
        Name = "Linux",
        AF_INET6 = 10,
        MSG_DONTWAIT = 0x40,
        MSG_NOSIGNAL = 0x4000,
        SOL_SOCKET = 1,
        SO_REUSEADDR = 2,
        SO_REUSEPORT = 15,
        SO_KEEPALIVE = 9,
        SO_LINGER = 13,
        SO_ERROR = 4,
        TCP_KEEPIDLE = 4,
        TCP_KEEPINTVL = 5,
        TCP_KEEPCNT = 6,
        TCP_INFO = 11,
        IPV6_V6ONLY = 26,
        RLIMIT_NOFILE = 7,
        FIOCLEX = 0x5451,
        FIONBIO = 0x5421,
        FIONWRITE = 0x5411, // SIOCOUTQ.
        InheritsTcpOptions = true, // tcp(7).
        MSG_TRUNC = 0x20,
        MSG_CTRUNC = 8,
        MSG_CMSG_CLOEXEC = 0x40000000,
        SCM_PIDFD = 4, // include/linux/socket.h.
        SO_BROADCAST = 6,
        SO_PEERCRED = RuntimeInformation.ProcessArchitecture == Architecture.Ppc64le ? 21 : 17,
        SO_SNDBUF = 7,
        SO_RCVBUF = 8,
        IP_TOS = 1, // include/uapi/linux/in.h.
        IP_TTL = 2,
        IP_PKTINFO = 8,
        IP_MULTICAST_IF = 32,
        IP_MULTICAST_TTL = 33,
        IP_MULTICAST_LOOP = 34,
        IP_ADD_MEMBERSHIP = 35,
        IP_DROP_MEMBERSHIP = 36,
        IPV6_UNICAST_HOPS = 16,
        IPV6_MULTICAST_IF = 17,
        IPV6_MULTICAST_HOPS = 18,
        IPV6_MULTICAST_LOOP = 19,
        IPV6_JOIN_GROUP = 20,
        IPV6_LEAVE_GROUP = 21,
        IPV6_RECVPKTINFO = 49,
        IPV6_TCLASS = 67,
        UDP_SEGMENT = 103, // include/uapi/linux/udp.h.
        UDP_GRO = 104,
        SO_TYPE = 3,
        SO_ACCEPTCONN = 30,
        SO_PROTOCOL = 38,
        CountsMessageBySize = true,
        ControlLayout = new ControlLayout(IntPtr.Size, IntPtr.Size), // CMSG_ALIGN in include/linux/socket.h.
    };

    /// <summary>xnu: bsd/sys/socket.h, bsd/netinet/tcp.h, bsd/netinet6/in6.h, bsd/sys/resource.h.</summary>
    public static readonly SocketNumbers MacOS = new()
    {
        Name = "macOS",
        AF_INET6 = 30,
        SO_NOSIGPIPE = 0x1022, // macOS has it instead of MSG_NOSIGNAL.
        SO_LINGER = 0x1080, // SO_LINGER_SEC, because macOS's SO_LINGER is in ticks.
        TCP_KEEPIDLE = 0x10, // TCP_KEEPALIVE.
        TCP_KEEPINTVL = 0x101,
        TCP_KEEPCNT = 0x102,
        AcceptsTheDead = true,
        IPV6_TCLASS = 36,
        ControlLayout = new ControlLayout(sizeof(uint), sizeof(uint)), // __DARWIN_ALIGN32.
    };

    /// <summary>FreeBSD: sys/sys/socket.h, sys/netinet/tcp.h, sys/netinet6/in6.h.</summary>
    public static readonly SocketNumbers FreeBSD = new()
    {
        Name = "FreeBSD",
        SO_PROTOCOL = 0x1016,
        SO_REUSEPORT = 0x10000, // SO_REUSEPORT_LB. With its SO_REUSEPORT the last listener gets all connections.
        AF_INET6 = 28,
        MSG_NOSIGNAL = 0x20000,
        MSG_CMSG_CLOEXEC = 0x40000,
        TCP_KEEPIDLE = 0x100,
        TCP_KEEPINTVL = 0x200,
        TCP_KEEPCNT = 0x400,
        InheritsTcpOptions = true, // syncache_socket in sys/netinet/tcp_syncache.c.
    };

    /// <summary>NetBSD: sys/sys/socket.h, sys/netinet/tcp.h, sys/netinet6/in6.h.</summary>
    public static readonly SocketNumbers NetBSD = new()
    {
        Name = "NetBSD",
        AF_INET6 = 24,
        MSG_NOSIGNAL = 0x400,
        MSG_CMSG_CLOEXEC = 0x800,
        TCP_KEEPIDLE = 3,
        TCP_KEEPINTVL = 5,
        TCP_KEEPCNT = 6,
    };

    /// <summary>
    /// OpenBSD: sys/sys/socket.h, sys/netinet/tcp.h, sys/netinet6/in6.h. Only the administrator sets its keep-alive times.
    /// </summary>
    public static readonly SocketNumbers OpenBSD = new()
    {
        Name = "OpenBSD",
        AF_INET6 = 24,
        MSG_NOSIGNAL = 0x400,
        MSG_CMSG_CLOEXEC = 0x800,
    };

    public required string Name { get; init; }

    public int AF_UNIX { get; init; } = 1;

    public int AF_INET { get; init; } = 2;

    public required int AF_INET6 { get; init; }

    public int SOCK_STREAM { get; init; } = 1;

    public int SOCK_DGRAM { get; init; } = 2;

    public int SOCK_RAW { get; init; } = 3;

    public int SOCK_SEQPACKET { get; init; } = 5;

    public int MSG_PEEK { get; init; } = 2;

    public int MSG_DONTWAIT { get; init; } = 0x80;

    public int MSG_TRUNC { get; init; } = 0x10;

    public int MSG_CTRUNC { get; init; } = 0x20;

    /// <summary>MSG_CMSG_CLOEXEC: received descriptors are close-on-exec; 0 if the system cannot do it in one step.</summary>
    public int MSG_CMSG_CLOEXEC { get; init; }

    /// <summary>SCM_PIDFD; 0 on a system that has none.</summary>
    public int SCM_PIDFD { get; init; }

    /// <summary>Whether struct msghdr counts by size_t, as on Linux.</summary>
    public bool CountsMessageBySize { get; init; }

    /// <summary>How control data is laid out. On most BSDs the data begins at a border of the machine's word (_ALIGN).</summary>
    public ControlLayout ControlLayout { get; init; } = new(sizeof(uint), IntPtr.Size);

    /// <summary>MSG_NOSIGNAL; 0 if the system has none.</summary>
    public int MSG_NOSIGNAL { get; init; }

    public int SOL_SOCKET { get; init; } = 0xffff;

    public int SO_REUSEADDR { get; init; } = 4;

    public int SO_TYPE { get; init; } = 0x1008;

    public int SO_ACCEPTCONN { get; init; } = 2;

    /// <summary>SO_PROTOCOL; 0 on a system that has none, or if we do not use it.</summary>
    public int SO_PROTOCOL { get; init; }

    /// <summary>The option by which several sockets listen on one address, spreading the connections where the system can.</summary>
    public int SO_REUSEPORT { get; init; } = 0x200;

    public int SO_KEEPALIVE { get; init; } = 8;

    public int SO_BROADCAST { get; init; } = 0x20;

    public int SO_LINGER { get; init; } = 0x80;

    public int SO_ERROR { get; init; } = 0x1007;

    /// <summary>SO_PEERCRED; 0 on a system that has none.</summary>
    public int SO_PEERCRED { get; init; }

    /// <summary>SO_NOSIGPIPE; 0 if we do not use it.</summary>
    public int SO_NOSIGPIPE { get; init; }

    public int SO_SNDBUF { get; init; } = 0x1001;

    public int SO_RCVBUF { get; init; } = 0x1002;

    public int IPPROTO_IP { get; init; }

    public int IPPROTO_TCP { get; init; } = 6;

    public int IPPROTO_UDP { get; init; } = 17;

    // <netinet/in.h> and <netinet6/in6.h>, which have the same numbers on macOS and the BSDs.

    public int IP_TOS { get; init; } = 3;

    public int IP_TTL { get; init; } = 4;

    public int IP_MULTICAST_IF { get; init; } = 9;

    public int IP_MULTICAST_TTL { get; init; } = 10;

    public int IP_MULTICAST_LOOP { get; init; } = 11;

    public int IP_ADD_MEMBERSHIP { get; init; } = 12;

    public int IP_DROP_MEMBERSHIP { get; init; } = 13;

    /// <summary>The option for IPv4; 0 if the system has none, or we do not use it.</summary>
    public int IP_PKTINFO { get; init; }

    /// <summary>The option for IPv6; 0 if we do not use it.</summary>
    public int IPV6_RECVPKTINFO { get; init; }

    public int IPV6_UNICAST_HOPS { get; init; } = 4;

    public int IPV6_MULTICAST_IF { get; init; } = 9;

    public int IPV6_MULTICAST_HOPS { get; init; } = 10;

    public int IPV6_MULTICAST_LOOP { get; init; } = 11;

    public int IPV6_JOIN_GROUP { get; init; } = 12;

    public int IPV6_LEAVE_GROUP { get; init; } = 13;

    public int IPV6_TCLASS { get; init; } = 61;

    /// <summary>The option; 0 if the system cannot split a buffer into datagrams.</summary>
    public int UDP_SEGMENT { get; init; }

    /// <summary>The option; 0 if the system cannot join datagrams to a buffer.</summary>
    public int UDP_GRO { get; init; }

    public int TCP_NODELAY { get; init; } = 1;

    /// <summary>The option's number; 0 if a socket cannot have its own keep-alive times.</summary>
    public int TCP_KEEPIDLE { get; init; }

    /// <inheritdoc cref="TCP_KEEPIDLE"/>
    public int TCP_KEEPINTVL { get; init; }

    /// <inheritdoc cref="TCP_KEEPIDLE"/>
    public int TCP_KEEPCNT { get; init; }

    /// <summary>TCP_INFO; 0 on a system that has none, or another layout than Linux.</summary>
    public int TCP_INFO { get; init; }

    public int IPPROTO_IPV6 { get; init; } = 41;

    public int IPV6_V6ONLY { get; init; } = 27;

    public int RLIMIT_NOFILE { get; init; } = 8;

    // <sys/filio.h>: _IO('f', 1) and _IOW('f', 126, int).

    public uint FIOCLEX { get; init; } = 0x2000_6601;

    public uint FIONBIO { get; init; } = 0x8004_667e;

    /// <summary>
    /// The request for the number of unacknowledged bytes, including the end; 0 if the system has no such request, or we do not use it.
    /// </summary>
    public uint FIONWRITE { get; init; }

    /// <summary>
    /// Whether we know that an accepted socket inherits its listener's TCP_NODELAY and keep-alive times. It inherits SO_KEEPALIVE on every
    /// system.
    /// </summary>
    public bool InheritsTcpOptions { get; init; }

    /// <summary>
    /// Whether accept may return a socket after its peer has gone, and then gives no address (Go's syscall/syscall_bsd.go).
    /// </summary>
    public bool AcceptsTheDead { get; init; }

    public override string ToString() => Name;
}
