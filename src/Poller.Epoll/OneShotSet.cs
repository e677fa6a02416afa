using Poller.Abstractions;

namespace Poller.Epoll;

// The arm path: EPOLLONESHOT and EPOLL_CTL_MOD.
//
// The kernel has one registration for both directions, and disables all of it when it reports any of it; until then it has both errors
// and hang-ups in it, whatever was asked for. So what is armed is kept here, and this holds whenever the lock is free:
//
//   A direction that is armed is in the kernel's registration, enabled; or the thread that polls has an event of it that it has not
//   brought here yet, and will.
//
// Arm adds a direction and enables the registration with all that is armed then. The event that comes here takes out the directions it
// is of, and enables the registration anew with those that are left, and no others. Of the two, whoever is second writes the mask of both:
//
//   event, then Arm    The event's direction is out; Arm enables what is left and its own.
//   Arm, then event    Arm has enabled more than the event leaves; the event takes that back. Where it leaves nothing, it makes no call:
//                      the kernel reports once more what nobody has armed, that is dropped here, and the registration is disabled.
//
// An event may be older than the Arm that it answers: it is spurious then, which is allowed, and lost is nothing, as the next Arm has the
// kernel look again. An event may even be older than the registration: the number in it was used anew. The generation beside the
// number tells.

/// <summary>The descriptors of a level-triggered epoll, and what is armed of each. Safe from any thread.</summary>
internal sealed class OneShotSet(SafeFd epoll)
{
    private const int GenerationShift = 32;

    // Not EPOLLPRI, which would go on for as long as an urgent byte stands at the head of a stream that is only looked at. It is not needed
    // either: what stands behind that byte is reported by itself.
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
            if (errno == Errno.None) _registrations[(int)fd] = registration; // In place of one that was closed without Close.
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

    /// <summary>Makes of what the kernel reports what was armed of it, and disarms that. False when it is nothing.</summary>
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
                // It was closed under the poller. Whoever waits for the other direction is to look, and sees it.
                directions |= DirectionsOf(registration.Armed);
                registration.Armed = PollMode.None;
            }
            if (directions == PollReadiness.None) return false;

            // The kernel tells of an error whatever it was asked for. Asked for both directions, it tells whether there is anything
            // beside the error.
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

        // No number has its upper bit set, so this is never the wake-up's.
        return LibC.Control(epoll, operation, fd, interest, ((ulong)registration.Generation << GenerationShift) | (uint)fd);
    }

    private static PollReadiness DirectionsOf(PollMode mode) =>
        ((mode & PollMode.Read) != 0 ? PollReadiness.Readable : 0) | ((mode & PollMode.Write) != 0 ? PollReadiness.Writable : 0);

    private static PollMode ToMode(PollReadiness directions) =>
        ((directions & PollReadiness.Readable) != 0 ? PollMode.Read : 0)
        | ((directions & PollReadiness.Writable) != 0 ? PollMode.Write : 0);
}
