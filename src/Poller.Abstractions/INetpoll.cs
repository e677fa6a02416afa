namespace Poller.Abstractions;

/// <summary>
/// A network poller: the small contract between an operating system's readiness mechanism and its user.
/// </summary>
/// <remarks>
/// <para>
/// It is the twin of the functions <c>netpollinit</c>, <c>netpollopen</c>, <c>netpollclose</c>, <c>netpollarm</c>, <c>netpoll</c> and
/// <c>netpollBreak</c> in Go's <c>runtime/netpoll.go</c>. A runtime uses it, and so may a program that wants its own loop: it takes a
/// backend, calls <see cref="Init"/>, <see cref="Open"/>s descriptors under tokens of its choosing and calls <see cref="Poll"/>.
/// </para>
/// <para>
/// Threads: <see cref="Init"/> comes first. Then the caller lets one thread at a time poll; it need not always be the same one. Every
/// other member is safe from any thread while another polls.
/// </para>
/// <para>
/// Lifetime: <see cref="IDisposable.Dispose"/> frees the kernel object as soon as no call is inside the poller. It does not end a
/// <see cref="Poll"/> that blocks: call <see cref="Break"/> first. A second call does nothing. <see cref="Name"/> and
/// <see cref="Trigger"/> always answer. The other members throw <see cref="InvalidOperationException"/> before <see cref="Init"/> and
/// <see cref="ObjectDisposedException"/> after <see cref="IDisposable.Dispose"/>; only <see cref="Arm"/> of an
/// <see cref="PollTrigger.Edge"/> poller always throws <see cref="NotSupportedException"/>.
/// </para>
/// <para>
/// Ownership: the poller never closes a descriptor it was given. The caller takes a descriptor out with <see cref="Close"/> before it
/// closes it.
/// </para>
/// </remarks>
public interface INetpoll : IDisposable
{
    /// <summary>The backend's name in lower case, such as <c>epoll</c>: that of its <see cref="INetpollFactory"/>.</summary>
    string Name { get; }

    /// <summary>Whether the poller reports readiness on its edges, or by level, once for each <see cref="Arm"/>.</summary>
    PollTrigger Trigger { get; }

    /// <summary>Creates the kernel object and its wake-up. Called once, before anything else.</summary>
    /// <exception cref="NetpollException">The system refused.</exception>
    /// <exception cref="InvalidOperationException">The poller was initialised before.</exception>
    void Init();

    /// <summary>
    /// Registers both directions of <paramref name="fd"/>, once for the descriptor's life. Its events carry <paramref name="token"/>.
    /// An <see cref="PollTrigger.Edge"/> poller also reports a direction that is already ready. A <see cref="PollTrigger.Level"/> poller
    /// reports nothing before <see cref="Arm"/>.
    /// </summary>
    /// <returns>
    /// <see cref="Errno.None"/>, or why not: <see cref="Errno.EPERM"/> for a descriptor that cannot be polled, such as a regular file;
    /// <see cref="Errno.EEXIST"/> for one that is already registered; <see cref="Errno.EBADF"/> for a number that is no open descriptor.
    /// The system may refuse for other reasons, such as <see cref="Errno.ENOSPC"/>; then it is that error.
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="token"/> is <see cref="PollToken.Wakeup"/>, the poller's own.</exception>
    Errno Open(nint fd, PollToken token);

    /// <summary>
    /// Unregisters <paramref name="fd"/>. Always call it before close(2): the kernel forgets a closed descriptor only when its last
    /// duplicate is closed. A thread that is inside <see cref="Poll"/> may still receive one event for this descriptor.
    /// </summary>
    /// <returns>
    /// <see cref="Errno.None"/>, or why not: <see cref="Errno.ENOENT"/> when the descriptor is not registered;
    /// <see cref="Errno.EBADF"/> for a number that is not an open descriptor, for example because it was closed first. A backend that
    /// looks at a table of its own, and not at the descriptor, answers <see cref="Errno.ENOENT"/> for any number that is not registered,
    /// and may answer <see cref="Errno.None"/> for one that was closed first.
    /// </returns>
    /// <remarks>
    /// Between <see cref="Init"/> and <see cref="IDisposable.Dispose"/> this method does not throw: it returns what the system refuses. The
    /// caller is about to close the descriptor and cannot try again, so a backend that throws here is at fault.
    /// </remarks>
    Errno Close(nint fd);

    /// <summary>
    /// Asks a <see cref="PollTrigger.Level"/> poller to report <paramref name="mode"/> of <paramref name="fd"/> once, as soon as it is
    /// ready. A direction that <paramref name="mode"/> does not name stays armed if it was.
    /// </summary>
    /// <returns>
    /// <see cref="Errno.None"/>, or why not: <see cref="Errno.ENOENT"/> when the descriptor is not registered;
    /// <see cref="Errno.EBADF"/> for a number that is not an open descriptor, as far as the backend notices.
    /// </returns>
    /// <exception cref="NotSupportedException">The poller is <see cref="PollTrigger.Edge"/>: there is nothing to arm.</exception>
    Errno Arm(nint fd, PollMode mode);

    /// <summary>Waits for readiness and writes what it finds to <paramref name="events"/>.</summary>
    /// <param name="events">Room for at least one event. An edge that finds no room is reported by a later call.</param>
    /// <param name="delay">
    /// In nanoseconds. Below 0 the call blocks without a time-out; at 0 it never blocks; above 0 it blocks for at most that long, rounded
    /// up to the kernel's resolution.
    /// </param>
    /// <returns>
    /// The number of events. It is 0 after a <see cref="Break"/>, a time-out, or a signal in a wait that has a time-out. Events may be
    /// spurious.
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="events"/> is empty.</exception>
    /// <exception cref="NetpollException">The system refused.</exception>
    int Poll(Span<PollEvent> events, long delay);

    /// <summary>
    /// Ends the <see cref="Poll"/> that blocks now, or else the next one that would block. Pending Break calls coalesce: several end at
    /// most one Poll. A Poll with delay 0 leaves a pending Break for one that may block.
    /// </summary>
    /// <exception cref="NetpollException">The system refused the wake-up.</exception>
    void Break();
}
