namespace Poller.Benchmarks;

/// <summary>Two connected, non-blocking Unix sockets.</summary>
internal sealed unsafe class SocketPair : IDisposable
{
    public SocketPair()
    {
        int* ends = stackalloc int[2];
        LibC.Check("socketpair", LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0, ends));
        (A, B) = (ends[0], ends[1]);
    }

    public int A { get; }

    public int B { get; }

    public static void WriteByte(int fd)
    {
        byte one = 1;
        LibC.Check("write", LibC.write(fd, &one, 1), atLeast: 1);
    }

    public static byte ReadByte(int fd)
    {
        byte one;
        LibC.Check("read", LibC.read(fd, &one, 1), atLeast: 1);
        return one;
    }

    public void Dispose()
    {
        LibC.Check("close", LibC.close(A));
        LibC.Check("close", LibC.close(B));
    }
}
