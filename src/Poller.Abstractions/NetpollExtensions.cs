using System.Runtime.InteropServices;

namespace Poller.Abstractions;

// These are extensions so that a backend, or a wrapper of one, need not implement them or pass them on.

/// <summary>Forms of <see cref="INetpoll"/>'s members that take .NET's own types, for a program with its own loop.</summary>
/// <remarks>The thread rules, results and exceptions of the members apply.</remarks>
public static class NetpollExtensions
{
    private const long MaxTicks = long.MaxValue / TimeSpan.NanosecondsPerTick;

    /// <summary><see cref="INetpoll.Poll"/>, with the delay as a <see cref="TimeSpan"/>.</summary>
    /// <param name="poller">The poller.</param>
    /// <param name="events">Room for at least one event.</param>
    /// <param name="timeout">
    /// How long the call may block. With <see cref="Timeout.InfiniteTimeSpan"/> it may block for ever; with <see cref="TimeSpan.Zero"/> it
    /// never blocks. Any other time is rounded up to the kernel's resolution. A <see cref="long"/> holds 292 years of nanoseconds, so a
    /// longer time means 292 years.
    /// </param>
    /// <returns>The number of events, as <see cref="INetpoll.Poll"/> returns it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="timeout"/> is negative and not <see cref="Timeout.InfiniteTimeSpan"/>. The time left until a deadline is negative
    /// once the deadline has passed, and then the call must not block for ever.
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
    /// The handle cannot be closed during the call. After the call the poller holds no reference to it, because some handles, such as a
    /// socket's, wait in their Dispose until nobody holds a reference. So keep the handle alive while it is registered, as a finalizer
    /// closes a handle that nothing refers to. Call <see cref="Close(INetpoll, SafeHandle)"/> before you dispose it.
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
    /// <paramref name="handle"/>, or the poller, is disposed. Take the handle out of the poller before you dispose it.
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

    /// <summary>Holds a reference to a handle until it is disposed.</summary>
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
