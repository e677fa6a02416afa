using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>A non-blocking descriptor that the kit owns and closes once. Calls return their result, or the negated errno.</summary>
internal sealed unsafe class Fd : IDisposable
{
    /// <summary>The maximum size of one read or write, in bytes.</summary>
    public const int Chunk = 64 * 1024;

    private static readonly Lock Names = new();

    private bool _closed;

    private Fd(int number)
    {
        Number = Check(number);
        Check(LibC.fcntl(Number, LibC.F_SETFD, LibC.FD_CLOEXEC));
        Check(LibC.fcntl(Number, LibC.F_SETFL, Check(LibC.fcntl(Number, LibC.F_GETFL, 0)) | LibC.O_NONBLOCK));
    }

    public int Number { get; }

    public static implicit operator nint(Fd fd) => fd.Number;

    public static (Fd Read, Fd Write) Pipe()
    {
        int* ends = stackalloc int[2];
        Check(LibC.pipe(ends));
        return (new Fd(ends[0]), new Fd(ends[1]));
    }

    public static (Fd A, Fd B) SocketPair()
    {
        int* ends = stackalloc int[2];
        Check(LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_STREAM, 0, ends));
        return (new Fd(ends[0]), new Fd(ends[1]));
    }

    public static (Fd A, Fd B) TcpPair()
    {
        // The system may give a sender megabytes of buffer, which take long to fill.
        const int SendBuffer = 64 * 1024;
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using Socket a = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
        {
            NoDelay = true,
            SendBufferSize = SendBuffer,
        };
        a.Connect(listener.LocalEndPoint!);
        using Socket b = listener.Accept();
        (b.NoDelay, b.SendBufferSize) = (true, SendBuffer);
        return (Take(a), Take(b));
    }

    /// <summary>A counter, which only Linux has.</summary>
    public static Fd EventFd() => new(LibC.eventfd(0, 0));

    /// <summary>A FIFO in the file system.</summary>
    public static void MakeFifo(string path) => Check(LibC.mkfifo(path, Convert.ToInt32("600", 8)));

    /// <summary>Opens a FIFO or a terminal without waiting for the other end.</summary>
    public static Fd Open(string path, int access) => new(LibC.open(path, access | LibC.O_NONBLOCK | LibC.O_NOCTTY));

    /// <summary>A new pseudo-terminal: its master end, and the other one.</summary>
    public static (Fd Master, Fd Terminal) Terminal()
    {
        Fd master = new(LibC.posix_openpt(LibC.O_RDWR | LibC.O_NOCTTY));
        Check(LibC.grantpt(master.Number));
        Check(LibC.unlockpt(master.Number));
        string path;
        lock (Names) path = Marshal.PtrToStringUTF8((nint)LibC.ptsname(master.Number))!;
        return (master, Open(path, LibC.O_RDWR));
    }

    /// <summary>read(2) of a number: the count, or the negated errno.</summary>
    public static int Read(nint number, Span<byte> buffer)
    {
        fixed (byte* bytes = buffer) return Result(LibC.read((int)number, bytes, (nuint)buffer.Length));
    }

    /// <summary>Writes one sequence of bytes. Returns the count, or the negated errno.</summary>
    public static int Write(nint number, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* bytes = buffer) return Result(LibC.write((int)number, bytes, (nuint)buffer.Length));
    }

    public int Write(ReadOnlySpan<byte> buffer) => Write(Number, buffer);

    /// <summary>Gives the descriptor to another owner.</summary>
    public int Release()
    {
        _closed = true;
        return Number;
    }

    /// <summary>Takes the open file of a socket under a new number, and disposes the socket.</summary>
    private static Fd Take(Socket socket)
    {
        int number = Check(LibC.fcntl((int)socket.Handle, LibC.F_DUPFD, 0));
        socket.Dispose(); // This makes the file blocking, so it comes before the constructor.
        return new Fd(number);
    }

    /// <summary>Whether nobody has the other end of a pipe or of a Unix socket, by poll(2).</summary>
    public static bool HasHungUp(nint fd)
    {
        Span<LibC.PollFd> set = [new() { Fd = (int)fd }];
        return LibC.poll(set) > 0 && (set[0].Revents & (LibC.POLLHUP | LibC.POLLERR)) != 0;
    }

    /// <summary>Whether the process has a descriptor with this number.</summary>
    public static bool Exists(int number) => LibC.fcntl(number, LibC.F_GETFD, 0) >= 0;

    /// <summary>A second descriptor of the same open file, with the lowest free number from <paramref name="atLeast"/> on.</summary>
    public Fd Duplicate(int atLeast = 0) => new(LibC.fcntl(Number, LibC.F_DUPFD, atLeast));

    /// <summary>
    /// Closes this descriptor and puts the other one's open file under its number. It is one step, so that no other thread of the process
    /// gets the number in between. The other descriptor must not be used afterwards.
    /// </summary>
    public void BecomeOther(Fd other)
    {
        Check(LibC.dup2(other.Number, Number));
        Check(LibC.fcntl(Number, LibC.F_SETFD, LibC.FD_CLOEXEC));
        other.Dispose();
    }

    public int Write(int count = 1)
    {
        byte* bytes = stackalloc byte[Chunk];
        return Result(LibC.write(Number, bytes, (nuint)Math.Min(count, Chunk)));
    }

    public int Read(int count = Chunk)
    {
        byte* bytes = stackalloc byte[Chunk];
        return Result(LibC.read(Number, bytes, (nuint)Math.Min(count, Chunk)));
    }

    /// <summary>shutdown(2). Returns 0, or the negated errno.</summary>
    public int Shutdown(int how = LibC.SHUT_WR) => Result(LibC.shutdown(Number, how));

    /// <summary>Writes until there is no room. Returns the number of bytes.</summary>
    public int Fill()
    {
        int total = 0;
        while (Write(Chunk) is > 0 and var count) total += count;

        // A pipe that refuses a page may still take single bytes.
        while (Write() > 0) total++;
        return total;
    }

    /// <summary>Reads until there is nothing, the end or an error. Returns the number of bytes.</summary>
    public int Drain()
    {
        int total = 0;
        while (Read() is > 0 and var count) total += count;
        return total;
    }

    /// <summary>The directions in which a call would not block, as poll(2) reports them.</summary>
    public static PollMode Ready(short revents)
    {
        PollMode ready = PollMode.None;
        if ((revents & (LibC.POLLIN | LibC.POLLPRI | LibC.POLLHUP | LibC.POLLERR)) != 0) ready |= PollMode.Read;
        if ((revents & (LibC.POLLOUT | LibC.POLLHUP | LibC.POLLERR)) != 0) ready |= PollMode.Write;
        return ready;
    }

    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        Check(LibC.close(Number));
    }

    private static int Result(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();

    private static int Check(int result) =>
        result >= 0 ? result : throw new InvalidOperationException("test setup: " + Marshal.GetLastPInvokeErrorMessage());
}
