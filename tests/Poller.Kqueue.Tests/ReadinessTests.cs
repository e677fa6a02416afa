using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;
using static Poller.Kqueue.KqueuePlatform;

namespace Poller.Kqueue.Tests;

public class ReadinessTests : KqueueTest
{
    private const uint ECONNRESET = 54, ECONNREFUSED = 61;

    [Theory]
    [MemberData(nameof(Events))]
    public void An_event_means(string filter, uint flags, uint fflags, PollReadiness readiness)
    {
        foreach (KqueuePlatform platform in PlatformTests.All)
        {
            int number = filter switch { "read" => platform.EVFILT_READ, "write" => platform.EVFILT_WRITE, _ => platform.EVFILT_USER };
            KEvent found = new(7, number, flags, fflags, 0, 1);

            // Where urgent data is not told of, it may be among any bytes.
            PollReadiness expected = filter == "read" && platform.EVFILT_EXCEPT is null ? readiness | ReadHangup : readiness;
            Assert.Equal((platform, expected), (platform, KqueueNetpoll.ToReadiness(platform, found)));
        }
    }

    public static TheoryData<string, uint, uint, PollReadiness> Events => new()
    {
        { "read", EV_CLEAR, 0, Readable },
        { "read", EV_CLEAR | EV_EOF, 0, Readable | Writable | ReadHangup },
        { "read", EV_CLEAR | EV_EOF, ECONNRESET, Readable | Writable | ReadHangup },
        { "write", EV_CLEAR, 0, Writable },
        { "write", EV_CLEAR | EV_EOF, 0, Writable },
        { "write", EV_CLEAR | EV_EOF, ECONNREFUSED, Readable | Writable | ReadHangup },
        { "read", EV_ERROR, 0, Readable | Writable | ReadHangup | Error },
        { "write", EV_ERROR, 0, Readable | Writable | ReadHangup | Error },
        { "user", EV_CLEAR, 0, None },
    };

    [Fact]
    public void A_half_close_by_the_peer_is_a_read_hang_up()
    {
        (Socket near, Socket far) = TcpPair();
        OpenQuietly(near.Handle, 1);

        far.Shutdown(SocketShutdown.Send);

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
        Assert.Equal(0, near.Receive(new byte[1]));
        Assert.Equal(1, near.Send([1]));
    }

    [Fact]
    public void The_end_of_the_read_side_wakes_a_writer_too()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        near.Fill();
        OpenQuietly(near, 1);

        far.Shutdown();

        // Spurious here, where the socket is full still; elsewhere it is all that the write end of a pipe is told.
        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void A_reset_is_for_both_directions()
    {
        (Socket near, Socket far) = TcpPair();
        OpenQuietly(near.Handle, 1);

        far.LingerState = new LingerOption(true, 0);
        far.Dispose();

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
        Assert.Equal(SocketError.ConnectionReset, Assert.Throws<SocketException>(() => near.Receive(new byte[1])).SocketErrorCode);
    }

    [Fact]
    public void The_peers_close_is_for_both_directions_of_a_unix_socket()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        near.Fill();
        OpenQuietly(near, 1);

        far.Dispose();

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void An_urgent_byte_warns_that_a_short_read_is_not_the_end()
    {
        (Socket near, Socket far) = TcpPair();
        OpenQuietly(near.Handle, 1);

        Assert.Equal(1, far.Send([1], SocketFlags.OutOfBand));

        Assert.Equal(Readable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void A_refused_datagram_is_for_the_reader()
    {
        using Socket near = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using (Socket far = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            far.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            near.Connect(far.LocalEndPoint!);
        }
        OpenQuietly(near.Handle, 1);

        near.Send([1]);

        Assert.True(ReadinessOf(1).HasFlag(Readable));
    }

    [Fact]
    public void A_refused_connection_is_for_both_directions()
    {
        using Socket silent = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        silent.Bind(new IPEndPoint(IPAddress.Loopback, 0)); // It does not listen.
        using Socket near = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        Assert.Throws<SocketException>(() => near.Connect(silent.LocalEndPoint!));
        Assert.Equal(Errno.None, Poller.Open(near.Handle, new PollToken(1)));

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
        Assert.Equal(SocketError.ConnectionRefused, (SocketError)near.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!);
    }

    [Fact]
    public void A_pipe_without_writers_has_hung_up()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        Assert.Equal(Errno.None, Poller.Open(read, new PollToken(1)));
        Assert.Empty(PollAll());

        write.Dispose();

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pipe_without_readers_wakes_the_writer(bool isFull)
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        if (isFull) write.Fill();
        OpenQuietly(write, 1);

        read.Dispose();

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }
}
