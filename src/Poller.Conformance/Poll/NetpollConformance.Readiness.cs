using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance;

// When each kind of descriptor becomes ready. An event may report more than it must, because edges may be spurious.
public abstract partial class NetpollConformance
{
    /// <summary>The peer has ended its writing side and still reads: the read side is ready, with a hang-up.</summary>
    [Fact]
    public void A_half_close_by_the_peer_is_a_read_hang_up()
    {
        (Fd near, Fd far) = Own(Fd.TcpPair());
        OpenQuietly(near, 1);

        Assert.Equal(0, far.Shutdown());

        Await(near, 1, Readable | ReadHangup);
        Assert.Equal(0, near.Read());
        Assert.Equal(1, near.Write());
    }

    /// <summary>A reset wakes both the reader and the writer.</summary>
    [Fact]
    public void A_reset_is_for_both_directions()
    {
        (Socket near, Socket far) = SocketsOverTcp();
        near.Blocking = false;
        OpenQuietly(near.Handle, 1);

        // Fill the socket first, so that the write side has something to report.
        byte[] chunk = new byte[64 * 1024];
        while (near.Send(chunk, 0, chunk.Length, SocketFlags.None, out SocketError error) > 0 && error == SocketError.Success) { }
        far.LingerState = new LingerOption(true, 0);
        far.Dispose();

        Await(near.Handle, 1, Readable | Writable | ReadHangup);
        Assert.Equal(SocketError.ConnectionReset, Assert.Throws<SocketException>(() => near.Receive(new byte[1])).SocketErrorCode);
    }

    /// <summary>A writer that waits for room is woken when the peer closes.</summary>
    [Fact]
    public void The_peers_close_is_for_both_directions_of_a_full_socket()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        near.Fill();

        far.Dispose();

        Await(near, 1, Readable | Writable | ReadHangup);
    }

    /// <summary>Plain bytes come without ReadHangup, which says that a short read does not mean "drained".</summary>
    [Fact]
    public void Plain_bytes_are_no_hang_up()
    {
        (Fd near, Fd far) = Own(Fd.TcpPair());
        OpenQuietly(near, 1);

        Assert.Equal(1, far.Write());

        PollReadiness readiness = Await(near, 1, Readable);
        Assert.Equal(None, readiness & (ReadHangup | Error));
    }

    /// <summary>A listener is readable when there is a connection to accept.</summary>
    [Fact]
    public void A_connection_to_accept_is_readable()
    {
        Socket listener = Own(Listen());
        OpenQuietly(listener.Handle, 1);
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        client.Connect(listener.LocalEndPoint!);

        Await(listener.Handle, 1, Readable);
    }

    /// <summary>As in Go: the socket is registered, then connected, and write readiness says that the outcome is known.</summary>
    [Fact]
    public void A_connect_that_completes_is_writable()
    {
        Socket listener = Own(Listen());
        Socket near = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
        OpenQuietly(near.Handle, 1);

        StartConnect(near, listener.LocalEndPoint!);

        // Events from before the socket was connected may come first.
        bool isConnected = SpinWait.SpinUntil(
            () =>
            {
                Await(near.Handle, 1, Writable);
                return near.Poll(0, SelectMode.SelectWrite);
            },
            Worker.Bound);
        Assert.True(isConnected, $"the connect was not over after {Worker.Bound.TotalSeconds} s of reports that it is writable");
        Assert.Equal(0, near.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error));
        Assert.Equal(1, near.Send([1]));
    }

    /// <summary>A connect that fails is reported in the same way as one that succeeds.</summary>
    [Fact]
    public void A_connect_that_is_refused_is_writable()
    {
        // This socket is bound and does not listen: nobody else gets its port, and the port refuses connections.
        Socket nobody = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        nobody.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Socket near = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
        StartConnect(near, nobody.LocalEndPoint!);
        Assert.Equal(Errno.None, Poller.Open(near.Handle, new PollToken(1)));

        Await(near.Handle, 1, Writable);
    }

    /// <summary>When the write end closes, the read end reads the rest and then the end.</summary>
    [Fact]
    public void A_pipe_without_writers_has_hung_up()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        OpenQuietly(read, 1);
        write.Write(3);

        write.Dispose();

        Await(read, 1, Readable | ReadHangup);
        Assert.Equal(3, read.Drain());
        Assert.Equal(0, read.Read());
    }

    /// <summary>When the read end of a full pipe closes, the write end is ready: a write fails and does not block.</summary>
    [Fact]
    public void A_full_pipe_without_readers_is_writable()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        OpenQuietly(write, 1);
        write.Fill();

        read.Dispose();

        Await(write, 1, Writable);
        Assert.Equal(-Errno.EPIPE.Number, write.Write());
    }

    /// <summary>Each end of a pipe has one direction.</summary>
    [Fact]
    public void The_ends_of_a_pipe_are_ready_each_in_its_direction()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        Open(read, 1, PollMode.Read);
        Assert.Empty(PollAll());
        Open(write, 2, PollMode.Write);
        Assert.Equal(Writable, ReadinessOf(2));

        int written = write.Fill();
        Assert.Equal(Readable, ReadinessOf(1) & Readable);
        Arm(write, PollMode.Write);
        Assert.Empty(PollAll());

        Assert.Equal(written, read.Drain());
        Assert.Equal(Writable, ReadinessOf(2));
    }

    private static void StartConnect(Socket socket, EndPoint address)
    {
        try
        {
            socket.Connect(address);
        }
        catch (SocketException error)
            when (error.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress or SocketError.ConnectionRefused)
        {
            // The connect goes on in the kernel, or is over already. The poller reports its end.
        }
    }

    private static Socket Listen()
    {
        Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        return listener;
    }

    private (Socket Near, Socket Far) SocketsOverTcp()
    {
        using Socket listener = Listen();
        Socket near = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        near.Connect(listener.LocalEndPoint!);
        return (near, Own(listener.Accept()));
    }
}
