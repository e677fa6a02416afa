namespace Poller.Abstractions;

/// <summary>
/// A network poller: the small contract between an operating system's readiness mechanism and whoever uses it.
/// </summary>
/// <remarks>
/// <para>
/// It is the twin of the functions <c>netpollinit</c>, <c>netpollopen</c>, <c>netpollclose</c>, <c>netpollarm</c>, <c>netpoll</c> and
/// <c>netpollBreak</c> in Go's <c>runtime/netpoll.go</c>. A runtime stands on it, and so may a program that wants its own loop: take a
/// backend, <see cref="Init"/> it, <see cref="Open"/> descriptors under tokens of its choosing and call <see cref="Poll"/>.
/// </para>
/// <para>
/// Threads: one thread at a time polls, not always the same one; the caller sees to it. Every other member is safe from any thread while
/// another polls. <see cref="IDisposable.Dispose"/> frees the kernel object once no call is inside the poller: it ends
/// no <see cref="Poll"/> that blocks, which takes a <see cref="Break"/>. A second one does nothing. Except for it,
/// <see cref="Name"/> and <see cref="Trigger"/>, members throw <see cref="InvalidOperationException"/> before <see cref="Init"/> and
/// <see cref="ObjectDisposedException"/> after <see cref="IDisposable.Dispose"/>.
/// </para>
/// <para>
/// Ownership: the poller never closes a descriptor it was given. A descriptor is taken out with <see cref="Close"/> before it is closed.
/// </para>
/// </remarks>
public interface INetpoll : IDisposable
{
    /// <summary>The mechanism's name in lower case, as <c>epoll</c>.</summary>
    string Name { get; }

    /// <summary>Whether readiness is reported on its edges, or by level for each <see cref="Arm"/>.</summary>
    PollTrigger Trigger { get; }

    /// <summary>Creates the kernel object and its wake-up. Called once, before anything else.</summary>
    /// <exception cref="NetpollException">The system refused.</exception>
    /// <exception cref="InvalidOperationException">The poller was initialised before.</exception>
    void Init();

    /// <summary>
    /// Registers both directions of <paramref name="fd"/>, once for the descriptor's life: its events carry <paramref name="token"/>.
    /// A direction that is ready already is reported too. A <see cref="PollTrigger.Level"/> poller reports nothing before
    /// <see cref="Arm"/>.
    /// </summary>
    /// <returns>
    /// <see cref="Errno.None"/>, or why not: <see cref="Errno.EPERM"/> for a descriptor that cannot be polled, such as a regular file;
    /// <see cref="Errno.EEXIST"/> for one that is registered; <see cref="Errno.EBADF"/> for what is no descriptor.
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="token"/> is <see cref="PollToken.Wakeup"/>, the poller's own.</exception>
    Errno Open(nint fd, PollToken token);

    /// <summary>
    /// Unregisters <paramref name="fd"/>. Called before close(2), always: the kernel forgets a closed descriptor only when its last
    /// duplicate is closed. A thread that is inside <see cref="Poll"/> may still receive one event for this descriptor.
    /// </summary>
    /// <returns>
    /// <see cref="Errno.None"/>, or why not: <see cref="Errno.ENOENT"/> when the descriptor is not registered;
    /// <see cref="Errno.EBADF"/> for what is no descriptor, as when it was closed already.
    /// </returns>
    /// <remarks>
    /// A call that is allowed does not throw: whatever the system refuses is an answer. Whoever closes a descriptor has no second try, so a
    /// backend that throws something else here is at fault.
    /// </remarks>
    Errno Close(nint fd);

    /// <summary>
    /// Asks a <see cref="PollTrigger.Level"/> poller to report <paramref name="mode"/> of <paramref name="fd"/> once, as soon as it is
    /// ready. Directions not named keep what they had.
    /// </summary>
    /// <returns>
    /// <see cref="Errno.None"/>, or why not: <see cref="Errno.ENOENT"/> when the descriptor is not registered.
    /// </returns>
    /// <exception cref="NotSupportedException">The poller is <see cref="PollTrigger.Edge"/>: there is nothing to arm.</exception>
    Errno Arm(nint fd, PollMode mode);

    /// <summary>Waits for readiness and writes what it finds to <paramref name="events"/>.</summary>
    /// <param name="events">Room for at least one event. An edge that finds no room is reported by a later call.</param>
    /// <param name="delay">
    /// In nanoseconds: below 0 the call blocks, at 0 it never does, above 0 it blocks for at most that long, rounded up to what the kernel
    /// counts in.
    /// </param>
    /// <returns>
    /// The number of events; 0 after a <see cref="Break"/>, a time-out, or a signal in a wait with a time-out. Events may be spurious.
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="events"/> is empty.</exception>
    /// <exception cref="NetpollException">The system refused.</exception>
    int Poll(Span<PollEvent> events, long delay);

    /// <summary>
    /// Ends a <see cref="Poll"/> that blocks now, or else the next one that would. Breaks that nobody has seen yet are one, and a poll
    /// that does not block leaves them for one that does.
    /// </summary>
    void Break();
}
