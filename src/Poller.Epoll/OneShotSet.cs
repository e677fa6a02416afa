using Poller.Abstractions;

namespace Poller.Epoll;

// The arm path: EPOLLONESHOT and EPOLL_CTL_MOD.
//
// The kernel has one registration for both directions. When it reports any direction, it disables the whole registration; while it is
// enabled, it also reports errors and hang-ups, which nobody asked for. So this set keeps which directions are armed. Whenever the lock is
// free, one of two things holds for an armed direction:
//
//   - The kernel's registration has it, and is enabled.
//   - The polling thread holds an event for it, which it will deliver here.
//
// Arm adds a direction, and enables the registration with all that are armed then. A delivery disarms the directions that its event names,
// and enables the registration again with those that are left. Both run under the lock, and whichever runs second writes the kernel mask
// for both:
//
//   delivery, then Arm   The delivery has disarmed its direction. Arm enables those that are left and its own.
//   Arm, then delivery   Arm has enabled more than the delivery leaves armed, and the delivery takes that back. If nothing stays armed, it
//                        skips the call: the kernel may report once more, which disables the registration, and we drop that event.
//
// An event may be older than the Arm that it answers. It is then spurious, which is allowed, and nothing is lost, because the next Arm
// makes the kernel check again. An event may even be older than the registration, if the descriptor's number was used again. The
// generation beside the number tells the two apart.

/// <summary>The descriptors of a level-triggered epoll, and which directions of each are armed. Safe from any thread.</summary>
internal sealed class OneShotSet(SafeFd epoll)
{
    private const int GenerationShift = 32;

    // Without EPOLLPRI: an urgent byte at the head of a stream would raise it again and again until someone reads the byte. We do not need
    // it either, because the bytes behind the urgent one raise EPOLLIN by themselves.
    private const uint ReadInterest = LibC.EPOLLIN | LibC.EPOLLRDHUP;
    private const uint FullInterest = ReadInterest | LibC.EPOLLOUT;

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly Dictionary<int, Registration> _registrations = [];
    private uint _lastGeneration;

    private sealed class Registration(PollToken token, uint generation)
    {
        public readonly PollToken Token = token;
        public readonly uint Generation = generation;

        // Guarded by the set's lock.
        public PollMode Armed;
    }

    /// <inheritdoc cref="INetpoll.Open"/>
    public Errno Open(nint fd, PollToken token)
    {
        lock (_lock)
        {
            Registration registration = new(token, ++_lastGeneration);
            Errno errno = Control(LibC.EPOLL_CTL_ADD, fd, registration);
            if (errno == Errno.None) _registrations[(int)fd] = registration; // It replaces one whose descriptor was closed without Close.
            return errno;
        }
    }

    /// <inheritdoc cref="INetpoll.Close"/>
    public Errno Close(nint fd)
    {
        if (fd < 0 || fd != (int)fd) return Errno.EBADF;
        lock (_lock)
        {
            return _registrations.Remove((int)fd) ? LibC.Control(epoll, LibC.EPOLL_CTL_DEL, fd, 0, 0) : Errno.ENOENT;
        }
    }

    /// <inheritdoc cref="INetpoll.Arm"/>
    public Errno Arm(nint fd, PollMode mode)
    {
        if (fd < 0 || fd != (int)fd) return Errno.EBADF;
        lock (_lock)
        {
            if (!_registrations.TryGetValue((int)fd, out Registration? registration)) return Errno.ENOENT;
            PollMode before = registration.Armed;
            if ((before | mode) == before) return Errno.None;
            registration.Armed |= mode;
            Errno errno = Control(LibC.EPOLL_CTL_MOD, fd, registration);
            if (errno != Errno.None) registration.Armed = before;
            return errno;
        }
    }

    /// <summary>
    /// Turns a kernel event into an event for the directions that are armed, and disarms them. False when none of them is armed.
    /// </summary>
    public bool TryDeliver(uint mask, ulong data, out PollEvent found)
    {
        int fd = (int)(uint)data;
        found = default;
        lock (_lock)
        {
            if (!_registrations.TryGetValue(fd, out Registration? registration)) return false;
            if (registration.Generation != (uint)(data >> GenerationShift)) return false;
            PollReadiness directions = EpollNetpoll.ToReadiness(mask) & DirectionsOf(registration.Armed);
            registration.Armed &= ~ToMode(directions);
            if (registration.Armed != PollMode.None && Control(LibC.EPOLL_CTL_MOD, fd, registration) != Errno.None)
            {
                // The descriptor was closed without Close. Report the other direction too, so that its waiter tries and sees the error.
                directions |= DirectionsOf(registration.Armed);
                registration.Armed = PollMode.None;
            }
            if (directions == PollReadiness.None) return false;

            // The kernel reports an error also for a descriptor that was asked about one direction. So ask about both: only then does
            // EPOLLERR alone mean that there is nothing beside the error.
            uint whole = mask == LibC.EPOLLERR ? LibC.Look(fd, FullInterest) : mask;
            const PollReadiness Others = ~(PollReadiness.Readable | PollReadiness.Writable);
            found = new PollEvent(registration.Token, directions | (EpollNetpoll.ToReadiness(whole) & Others));
            return true;
        }
    }

    private Errno Control(int operation, nint fd, Registration registration)
    {
        uint interest = LibC.EPOLLONESHOT;
        if ((registration.Armed & PollMode.Read) != 0) interest |= ReadInterest;
        if ((registration.Armed & PollMode.Write) != 0) interest |= LibC.EPOLLOUT;

        // A descriptor's number never has its upper bit set, so this never equals the wake-up's token.
        return LibC.Control(epoll, operation, fd, interest, ((ulong)registration.Generation << GenerationShift) | (uint)fd);
    }

    private static PollReadiness DirectionsOf(PollMode mode) =>
        ((mode & PollMode.Read) != 0 ? PollReadiness.Readable : 0) | ((mode & PollMode.Write) != 0 ? PollReadiness.Writable : 0);

    private static PollMode ToMode(PollReadiness directions) =>
        ((directions & PollReadiness.Readable) != 0 ? PollMode.Read : 0)
        | ((directions & PollReadiness.Writable) != 0 ? PollMode.Write : 0);
}
