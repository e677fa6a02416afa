namespace Poller.Kqueue;

/// <summary>
/// The system calls of a kqueue poller. Each returns the call's result, or the negated errno. Safe from any thread.
/// </summary>
internal interface IKqueueApi
{
    /// <summary>The numbers and layouts that the calls use.</summary>
    KqueuePlatform Platform { get; }

    /// <summary>kqueue(2), close-on-exec.</summary>
    int Kqueue();

    /// <summary>
    /// kevent(2): applies the changes, then waits for events and returns at most as many as there is room for. Both spans are arrays of
    /// struct kevent in the platform's layout. The time-out is in ns; below zero the call blocks.
    /// </summary>
    int Kevent(int kq, ReadOnlySpan<byte> changes, Span<byte> events, long timeout);

    /// <summary>fstat(2): the st_mode.</summary>
    int Mode(int fd, out uint mode);

    /// <summary>pipe(2), both ends non-blocking and close-on-exec.</summary>
    int Pipe(out int read, out int write);

    /// <summary>read(2).</summary>
    int Read(int fd, Span<byte> buffer);

    /// <summary>write(2).</summary>
    int Write(int fd, ReadOnlySpan<byte> buffer);

    /// <summary>close(2). It is never repeated.</summary>
    int Close(int fd);
}
