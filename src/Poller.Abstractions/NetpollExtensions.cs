using System.Runtime.InteropServices;

namespace Poller.Abstractions;

// Extensions and not members: a backend, or a wrapper of one, has nothing to implement or to pass on.

/// <summary>Forms of <see cref="INetpoll"/>'s members that take .NET's own types, for a program with a loop of its own.</summary>
/// <remarks>Threads, errors and exceptions are those of the members.</remarks>
public static class NetpollExtensions
{
    private const long MaxTicks = long.MaxValue / TimeSpan.NanosecondsPerTick;

    /// <summary><see cref="INetpoll.Poll"/>, with the delay as a <see cref="TimeSpan"/>.</summary>
    /// <param name="poller">The poller.</param>
    /// <param name="events">Room for at least one event.</param>
    /// <param name="timeout">
    /// How long the call may block. <see cref="Timeout.InfiniteTimeSpan"/> has no end, <see cref="TimeSpan.Zero"/> never blocks. Anything
    /// else is rounded up to what the kernel counts in. More than 292 years, which a <see cref="long"/> of nanoseconds does not hold, is
    /// taken for 292 years.
    /// </param>
    /// <returns>The number of events, as <see cref="INetpoll.Poll"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="timeout"/> is negative, and not <see cref="Timeout.InfiniteTimeSpan"/>. The time to a deadline that has passed is
    /// negative, and must not block for ever.
    /// </exception>
    public static int Poll(this INetpoll poller, Span<PollEvent> events, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(poller);
        if (timeout == Timeout.InfiniteTimeSpan) return poller.Poll(events, delay: -1);
        if (timeout < TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(
                nameof(timeout), timeout, "zero, a positive time or Timeout.InfiniteTimeSpan was expected.");
        }
        return poller.Poll(events, timeout.Ticks > MaxTicks ? long.MaxValue : timeout.Ticks * TimeSpan.NanosecondsPerTick);
    }

    /// <summary><see cref="INetpoll.Open"/> for a descriptor that a <see cref="SafeHandle"/> owns.</summary>
    /// <remarks>
    /// The handle cannot be closed during the call; after it, the caller sees to that. The poller holds no reference to a handle that is
    /// registered: some handles, as a socket's, wait in their Dispose for whoever holds one. So keep the handle alive while it is
    /// registered (a finalizer closes a handle that nothing refers to), and <see cref="Close(INetpoll, SafeHandle)"/> it before it is
    /// disposed.
    /// </remarks>
    /// <inheritdoc cref="INetpoll.Open" path="/returns"/>
    /// <exception cref="ObjectDisposedException"><paramref name="handle"/>, or the poller, is disposed.</exception>
    public static Errno Open(this INetpoll poller, SafeHandle handle, PollToken token)
    {
        ArgumentNullException.ThrowIfNull(poller);
        using HeldHandle held = new(handle);
        return poller.Open(held.Fd, token);
    }

    /// <summary><see cref="INetpoll.Close"/> for a descriptor that a <see cref="SafeHandle"/> owns. The handle stays open.</summary>
    /// <inheritdoc cref="INetpoll.Close" path="/returns"/>
    /// <exception cref="ObjectDisposedException">
    /// <paramref name="handle"/>, or the poller, is disposed: the handle was to be taken out of the poller first.
    /// </exception>
    public static Errno Close(this INetpoll poller, SafeHandle handle)
    {
        ArgumentNullException.ThrowIfNull(poller);
        using HeldHandle held = new(handle);
        return poller.Close(held.Fd);
    }

    /// <summary><see cref="INetpoll.Arm"/> for a descriptor that a <see cref="SafeHandle"/> owns.</summary>
    /// <inheritdoc cref="INetpoll.Arm" path="/returns"/>
    /// <exception cref="NotSupportedException">The poller is <see cref="PollTrigger.Edge"/>: there is nothing to arm.</exception>
    /// <exception cref="ObjectDisposedException"><paramref name="handle"/>, or the poller, is disposed.</exception>
    public static Errno Arm(this INetpoll poller, SafeHandle handle, PollMode mode)
    {
        ArgumentNullException.ThrowIfNull(poller);
        using HeldHandle held = new(handle);
        return poller.Arm(held.Fd, mode);
    }

    /// <summary>A reference to a handle, given back at the end.</summary>
    private readonly ref struct HeldHandle : IDisposable
    {
        private readonly SafeHandle _handle;
        private readonly bool _isHeld;

        public HeldHandle(SafeHandle handle)
        {
            ArgumentNullException.ThrowIfNull(handle);
            _handle = handle;
            handle.DangerousAddRef(ref _isHeld);
        }

        public nint Fd => _handle.DangerousGetHandle();

        public void Dispose()
        {
            if (_isHeld) _handle.DangerousRelease();
        }
    }
}
