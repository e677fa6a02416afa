using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Epoll.Tests;

public class ReadinessTests : EpollTest
{
    [Theory]
    [InlineData(0u, None)]
    [InlineData(LibC.EPOLLIN, Readable)]
    [InlineData(LibC.EPOLLOUT, Writable)]
    [InlineData(LibC.EPOLLIN | LibC.EPOLLOUT, Readable | Writable)]
    [InlineData(LibC.EPOLLRDHUP, Readable | ReadHangup)]
    [InlineData(LibC.EPOLLIN | LibC.EPOLLRDHUP, Readable | ReadHangup)]
    [InlineData(LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP, Readable | Writable | ReadHangup)]
    [InlineData(LibC.EPOLLPRI, Readable | ReadHangup)]
    [InlineData(LibC.EPOLLIN | LibC.EPOLLPRI, Readable | ReadHangup)]
    [InlineData(LibC.EPOLLHUP, Readable | Writable | ReadHangup)]
    [InlineData(LibC.EPOLLERR, Readable | Writable | ReadHangup | Error)]
    [InlineData(LibC.EPOLLERR | LibC.EPOLLOUT, Readable | Writable | ReadHangup)]
    [InlineData(LibC.EPOLLERR | LibC.EPOLLHUP, Readable | Writable | ReadHangup)]
    [InlineData(LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLERR | LibC.EPOLLHUP, Readable | Writable | ReadHangup)]
    [InlineData(0x1000u, None)]
    public void A_mask_means(uint mask, PollReadiness readiness) => Assert.Equal(readiness, EpollNetpoll.ToReadiness(mask));

    [Fact]
    public void A_half_close_does_not_make_a_full_socket_writable()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        near.Fill();
        OpenQuietly(near, 1);

        far.Shutdown();

        Assert.Equal(Readable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void An_urgent_byte_warns_that_a_short_read_is_not_the_end()
    {
        (Socket near, Socket far) = TcpPair();
        OpenQuietly(near.Handle, 1);

        Assert.Equal(1, far.Send([1], SocketFlags.OutOfBand));

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void A_refused_datagram_is_for_both_directions()
    {
        using Socket near = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using (Socket far = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            far.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            near.Connect(far.LocalEndPoint!);
        }
        OpenQuietly(near.Handle, 1);

        near.Send([1]);

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void A_socket_never_connected_has_hung_up()
    {
        Assert.Equal(Errno.None, Poller.Open(Own(Fd.TcpSocket()), new PollToken(1)));

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void A_pipe_without_readers_is_writable_and_has_an_error()
    {
        // EPOLLOUT | EPOLLERR: there is room, and the write into it fails. Error is for the error alone.
        (Fd read, Fd write) = Own(Fd.Pipe());
        OpenQuietly(write, 1);

        read.Dispose();

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
    }

    [Fact]
    public void A_full_pipe_without_readers_has_an_error_and_nothing_else()
    {
        // EPOLLERR alone.
        (Fd read, Fd write) = Own(Fd.Pipe());
        write.Fill();
        OpenQuietly(write, 1);

        read.Dispose();

        Assert.Equal(Readable | Writable | ReadHangup | Error, ReadinessOf(1));
    }
}
