using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Tests.Shared;

public abstract class LevelReadinessTests(INetpollFactory backend) : LevelTest(backend)
{
    [Theory]
    [InlineData(PollMode.Read, Readable | ReadHangup)]
    [InlineData(PollMode.Write, Writable | ReadHangup)]
    [InlineData(PollMode.ReadWrite, Readable | Writable | ReadHangup)]
    public void A_hang_up_is_for_the_directions_that_are_armed(PollMode armed, PollReadiness expected)
    {
        (Fd near, Fd far) = OpenPair(1);
        near.Fill();
        Arm(near, armed);
        Assert.Empty(PollAll());

        far.Dispose();

        Assert.Equal(expected, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void A_descriptor_that_hung_up_and_is_not_armed_disturbs_no_poll()
    {
        // The kernel tells of it whatever it was asked for.
        (Fd near, Fd far) = OpenPair(1);
        Open(Own(Fd.TcpSocket()), 2); // Never connected: hung up from the start.
        far.Dispose();
        AssertQuiet();

        Arm(near, PollMode.Read);
        Assert.Equal(Readable | ReadHangup, ReadinessOf(1));
        AssertQuiet();

        // Nor does it go round in the kernel without end: the thread sleeps.
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);
        Poller.Break();
        thread.Join();
        Assert.Empty(events);
    }

    [Fact]
    public void A_half_close_by_the_peer_is_a_read_hang_up()
    {
        (Fd near, Fd far) = OpenPair(1);
        Arm(near, PollMode.Read);

        far.Shutdown();

        Assert.Equal(Readable | ReadHangup, ReadinessOf(1));
        Assert.Equal(0, near.Read());
        Arm(near, PollMode.Write);
        Assert.Equal(Writable, ReadinessOf(1) & ~ReadHangup);
    }

    [Fact]
    public void A_half_close_does_not_make_a_full_socket_writable()
    {
        (Fd near, Fd far) = OpenPair(1);
        near.Fill();
        Arm(near, PollMode.ReadWrite);

        far.Shutdown();

        Assert.Equal(Readable | ReadHangup, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void A_connection_to_accept_is_readable_and_nothing_makes_a_listener_writable()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Open(listener.Handle, 1);
        Arm(listener.Handle, PollMode.ReadWrite);
        Assert.Empty(PollAll());
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        client.Connect(listener.LocalEndPoint!);

        Assert.Equal(Readable, ReadinessOf(1));
    }

    [Theory]
    [InlineData(PollMode.Read, Readable | ReadHangup)]
    [InlineData(PollMode.Write, Writable | ReadHangup)]
    [InlineData(PollMode.ReadWrite, Readable | Writable | ReadHangup)]
    public void An_error_beside_room_to_write_is_not_an_error_alone_whatever_was_armed(PollMode armed, PollReadiness expected)
    {
        using Socket near = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using (Socket far = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            far.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            near.Connect(far.LocalEndPoint!);
        }
        near.Send([1]); // Refused.
        Open(near.Handle, 1);

        Arm(near.Handle, armed);

        Assert.Equal(expected, ReadinessOf(1));
    }

    [Theory]
    [InlineData(PollMode.Read, Readable | ReadHangup | Error)]
    [InlineData(PollMode.Write, Writable | ReadHangup | Error)]
    [InlineData(PollMode.ReadWrite, Readable | Writable | ReadHangup | Error)]
    public void A_full_pipe_without_readers_has_an_error_and_nothing_else(PollMode armed, PollReadiness expected)
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        write.Fill();
        Open(write, 1);
        Arm(write, armed);

        read.Dispose();

        Assert.Equal(expected, ReadinessOf(1));
    }

    [Fact]
    public void An_urgent_byte_that_nobody_reads_past_is_reported_by_nothing()
    {
        // A look at the stream (MSG_PEEK) would find nothing and wait again, and again.
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using Socket near = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        near.Connect(listener.LocalEndPoint!);
        using Socket far = listener.Accept();
        Open(near.Handle, 1);
        Arm(near.Handle, PollMode.Read);

        Assert.Equal(1, far.Send([1], SocketFlags.OutOfBand));
        AssertQuiet();

        far.Send([2]);
        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(Poll(10 * Second)));
    }
}
