using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Poller.Abstractions;

// The numbers differ from system to system: EAGAIN is 11 on Linux and 35 on macOS, where 11 is "deadlock avoided". So nothing may compare
// a number of one system with a constant of another. This type knows only this system's numbers, by name. All of PollerKit compares errors
// through it.

/// <summary>An error of a system call (<c>errno</c>): this system's number, and its name. <see cref="None"/> is success.</summary>
/// <remarks>
/// The named errors are those that PollerKit tells apart. Any other number is an <see cref="Errno"/> too. A name that this system lacks,
/// such as <see cref="ENONET"/> outside of Linux, has a number below 0, which no call returns. The numbers are known of Linux, macOS,
/// FreeBSD, NetBSD and OpenBSD. On any other system, Windows too, the names have Linux's numbers.
/// </remarks>
public readonly struct Errno : IEquatable<Errno>
{
    /// <summary>The error that has this number on this system.</summary>
    public Errno(int number) => Number = number;

    /// <summary>No error.</summary>
    public static Errno None => default;

    /// <summary>Operation not permitted. A poller returns it for a descriptor that cannot be polled, as epoll_ctl(2) does.</summary>
    public static Errno EPERM { get; } = Named();

    /// <summary>No such file. Of a descriptor: it is not registered with the poller.</summary>
    public static Errno ENOENT { get; } = Named();

    /// <summary>A signal interrupted the call.</summary>
    public static Errno EINTR { get; } = Named();

    /// <summary>Not an open descriptor.</summary>
    public static Errno EBADF { get; } = Named();

    /// <summary>The call would block.</summary>
    public static Errno EAGAIN { get; } = Named();

    /// <summary>Out of memory.</summary>
    public static Errno ENOMEM { get; } = Named();

    /// <summary>Permission denied.</summary>
    public static Errno EACCES { get; } = Named();

    /// <summary>It already exists. Of a descriptor: it is already registered with the poller.</summary>
    public static Errno EEXIST { get; } = Named();

    /// <summary>Invalid argument.</summary>
    public static Errno EINVAL { get; } = Named();

    /// <summary>The system is out of descriptors.</summary>
    public static Errno ENFILE { get; } = Named();

    /// <summary>The process is out of descriptors.</summary>
    public static Errno EMFILE { get; } = Named();

    /// <summary>No space left. epoll_ctl(2) returns it when the user's watches are used up.</summary>
    public static Errno ENOSPC { get; } = Named();

    /// <summary>Nobody reads at the other end.</summary>
    public static Errno EPIPE { get; } = Named();

    /// <summary>The system does not have the call.</summary>
    public static Errno ENOSYS { get; } = Named();

    /// <summary>Not a socket.</summary>
    public static Errno ENOTSOCK { get; } = Named();

    /// <summary>The socket has no peer, and no address was given.</summary>
    public static Errno EDESTADDRREQ { get; } = Named();

    /// <summary>The message is too long.</summary>
    public static Errno EMSGSIZE { get; } = Named();

    /// <summary>Protocol error.</summary>
    public static Errno EPROTO { get; } = Named();

    /// <summary>The socket at the address is of another type.</summary>
    public static Errno EPROTOTYPE { get; } = Named();

    /// <summary>The protocol does not have the option.</summary>
    public static Errno ENOPROTOOPT { get; } = Named();

    /// <summary>The system does not have the protocol.</summary>
    public static Errno EPROTONOSUPPORT { get; } = Named();

    /// <summary>The descriptor does not have the operation.</summary>
    public static Errno EOPNOTSUPP { get; } = Named();

    /// <summary>The system does not have the address family.</summary>
    public static Errno EAFNOSUPPORT { get; } = Named();

    /// <summary>The address is taken.</summary>
    public static Errno EADDRINUSE { get; } = Named();

    /// <summary>The address is not this machine's.</summary>
    public static Errno EADDRNOTAVAIL { get; } = Named();

    /// <summary>The network is down.</summary>
    public static Errno ENETDOWN { get; } = Named();

    /// <summary>No route to the network.</summary>
    public static Errno ENETUNREACH { get; } = Named();

    /// <summary>The network dropped the connection.</summary>
    public static Errno ENETRESET { get; } = Named();

    /// <summary>The machine is not on the network. Only Linux has this error.</summary>
    public static Errno ENONET { get; } = Named();

    /// <summary>The connection was aborted, for example before it was accepted.</summary>
    public static Errno ECONNABORTED { get; } = Named();

    /// <summary>The peer reset the connection.</summary>
    public static Errno ECONNRESET { get; } = Named();

    /// <summary>Out of buffer space.</summary>
    public static Errno ENOBUFS { get; } = Named();

    /// <summary>The socket is already connected.</summary>
    public static Errno EISCONN { get; } = Named();

    /// <summary>The socket is not connected.</summary>
    public static Errno ENOTCONN { get; } = Named();

    /// <summary>This side of the connection is shut down.</summary>
    public static Errno ESHUTDOWN { get; } = Named();

    /// <summary>Too many descriptors are under way in messages.</summary>
    public static Errno ETOOMANYREFS { get; } = Named();

    /// <summary>The peer did not answer in time.</summary>
    public static Errno ETIMEDOUT { get; } = Named();

    /// <summary>Nobody listens there.</summary>
    public static Errno ECONNREFUSED { get; } = Named();

    /// <summary>The host is down.</summary>
    public static Errno EHOSTDOWN { get; } = Named();

    /// <summary>No route to the host.</summary>
    public static Errno EHOSTUNREACH { get; } = Named();

    /// <summary>An earlier call has started the operation, and it is still under way.</summary>
    public static Errno EALREADY { get; } = Named();

    /// <summary>This call has started the operation, and it is under way.</summary>
    public static Errno EINPROGRESS { get; } = Named();

    /// <summary>This system's number. 0 is no error; below 0 it is a named error that this system lacks.</summary>
    public int Number { get; }

    /// <summary>The name, such as <c>EAGAIN</c>; null for a number that is not one of the named errors.</summary>
    public string? Name => ErrnoTable.OfThisSystem.NameOf(Number);

    /// <summary>The system's own text for the error, as strerror(3) returns it.</summary>
    public string Message => Marshal.GetPInvokeErrorMessage(Number);

    /// <summary>Whether two are the same error.</summary>
    public static bool operator ==(Errno left, Errno right) => left.Number == right.Number;

    /// <summary>Whether two are different errors.</summary>
    public static bool operator !=(Errno left, Errno right) => left.Number != right.Number;

    /// <inheritdoc/>
    public bool Equals(Errno other) => Number == other.Number;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Errno other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Number;

    /// <summary>Name and number, as <c>EAGAIN (11)</c>; <c>errno 4711</c> if the number has no name; <c>none</c> for success.</summary>
    public override string ToString() => Number == 0 ? "none"
        : Name is { } name ? string.Create(CultureInfo.InvariantCulture, $"{name} ({Number})")
        : string.Create(CultureInfo.InvariantCulture, $"errno {Number}");

    private static Errno Named([CallerMemberName] string name = "") => new(ErrnoTable.OfThisSystem.NumberOf(name));
}
