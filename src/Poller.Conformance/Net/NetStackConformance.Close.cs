using System.Net.Sockets;
using Poller.Net;

namespace Poller.Conformance;

// The tests of closes, half closes and listeners in Go's net/net_test.go, conn_test.go and tcpsock_test.go.

public abstract partial class NetStackConformance
{
    /// <summary>Go: TestConnClose and TestCloseUnblocksRead. A close ends all waiting and all queued operations.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_close_ends_all_that_waits_and_all_that_queues(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        List<NetOperation<int>> operations = [];
        for (int i = 0; i < 3; i++)
        {
            operations.Add(client.StartRead(blocking, new byte[1]).Waiting());
            operations.Add(client.StartWrite(blocking, Plenty).Waiting());
        }
        NetOperation<bool> waiting = server.StartWaitToRead(blocking);
        client.Dispose();
        foreach (NetOperation<int> operation in operations) operation.EndsByClose();
        waiting.FindsBytes(); // The first write has sent them.
        server.Dispose();
    }

    /// <summary>Go: TestConnClose. An operation that begins after a close fails, and a second close does nothing.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void After_a_close_every_operation_says_so(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        client.Dispose();
        client.Dispose();
        Assert.Equal((false, false), (client.CanRead, client.CanWrite));
        Assert.Throws<ObjectDisposedException>(() => { client.StartRead(blocking, new byte[1]).Result(); });
        Assert.Throws<ObjectDisposedException>(() => { client.StartWrite(blocking, One).Result(); });
        Assert.Throws<ObjectDisposedException>(() => { client.StartWaitToRead(blocking).Result(); });
        Assert.Throws<ObjectDisposedException>(() => client.SetDeadline(null));
        Assert.Throws<ObjectDisposedException>(() => client.SetReadDeadline(LongAgo));
        Assert.Throws<ObjectDisposedException>(() => client.SetWriteDeadline(LongAgo));
        Assert.Throws<ObjectDisposedException>(client.CloseRead);
        Assert.Throws<ObjectDisposedException>(client.CloseWrite);
        Assert.Equal(0, server.StartRead(blocking, new byte[1]).Result());
    }

    /// <summary>Go: TestCloseWrite. The peer reads what was sent, then the end, and can still answer.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Close_write_is_the_end_for_a_peer_that_may_still_write(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        byte[] buffer = new byte[2];
        NetOperation<int> reading = server.StartRead(blocking, buffer).Waiting();
        client.StartWrite(blocking, One).Result();
        Assert.Equal(1, reading.Result());
        reading = server.StartRead(blocking, buffer).Waiting();
        client.CloseWrite();
        Assert.Equal(0, reading.Result());
        Assert.Equal(0, server.StartRead(blocking, buffer).Result());
        Assert.Equal(SocketError.Shutdown, client.StartWrite(blocking, One).Fails().SocketErrorCode);
        reading = client.StartRead(blocking, buffer).Waiting();
        server.StartWrite(blocking, One).Result();
        Assert.Equal(1, reading.Result());
        server.CloseWrite();
        Assert.Equal(0, client.StartRead(blocking, buffer).Result());
    }

    /// <summary>Go: TestCloseRead. Reads end, and writes go on.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Close_read_ends_reads_and_leaves_writes(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<int> reading = client.StartRead(blocking, new byte[1]).Waiting();
        client.CloseRead();
        Assert.Equal(0, reading.Result());
        Assert.Equal(0, client.StartRead(blocking, new byte[1]).Result());
        client.StartWaitToRead(blocking).FindsTheEnd();
        client.StartWrite(blocking, One).Result();
        Assert.Equal(1, server.StartRead(blocking, new byte[2]).Result());
    }

    /// <summary>Go: the tests of CloseWrite while a write waits. The write that waits for room fails.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Close_write_ends_a_write_that_waits(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        client.CloseWrite();
        Assert.Equal(SocketError.Shutdown, writing.Fails().SocketErrorCode);
        NetOperation<long> draining = new(() => server.DrainAsync(blocking: true).GetAwaiter().GetResult());
        Assert.InRange(draining.Result(), 1, Plenty.Length - 1);
    }

    /// <summary>Go: TestTCPBig's end. A close still sends what was written before it.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void What_was_written_before_a_close_arrives(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        byte[] sent = Bytes(50_000), received = new byte[sent.Length];
        client.StartWrite(blocking, sent).Result();
        client.Dispose();
        NetOperation.Run(blocking, () => server.ReadExactlyAsync(blocking, received).AsTask()).Result();
        Assert.True(received.AsSpan().SequenceEqual(sent), "the bytes that arrived are not those that were sent");
        Assert.Equal(0, server.StartRead(blocking, new byte[1]).Result());
    }

    /// <summary>Go: TestListenerClose and TestListenCloseListen. The address of a closed listener is free again at once.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_listener_that_closes_ends_its_accepts_and_frees_its_address(bool blocking)
    {
        ConnListener listener = Listen();
        NetOperation<Conn> accepting = listener.StartAccept(blocking).Waiting(), queued = listener.StartAccept(blocking).Waiting();
        string local = listener.LocalEndPoint.ToString()!;
        listener.Dispose();
        accepting.EndsByClose();
        queued.EndsByClose();
        Assert.Throws<ObjectDisposedException>(() => { listener.StartAccept(blocking).Result(); });
        Assert.Throws<ObjectDisposedException>(() => listener.SetDeadline(null));
        Assert.Equal(SocketError.ConnectionRefused, Stack.StartDial(blocking, Network, local).Fails().SocketErrorCode);
        Own(ListenAgain(local));
    }

    /// <summary>Go: TestTCPConcurrentAccept. With several accepts at once, each dial is accepted exactly once.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Concurrent_accepts_take_each_connection_once(bool blocking)
    {
        const int Accepts = 4, Each = 5;
        ConnListener listener = Listen();
        List<Conn> accepted = [];
        NetOperation<bool>[] acceptors = [.. Enumerable.Range(0, Accepts).Select(_ => NetOperation.Run(blocking, async () =>
        {
            for (int i = 0; i < Each; i++)
            {
                Conn conn = blocking ? listener.Accept() : await listener.AcceptAsync().ConfigureAwait(false);
                lock (accepted) accepted.Add(conn);
            }
        }))];
        List<string> dialed = [];
        for (int i = 0; i < Accepts * Each; i++)
        {
            Conn conn = Own(Stack.StartDial(blocking, Network, listener.LocalEndPoint.ToString()!).Result());
            dialed.Add(conn.LocalEndPoint.ToString()!);
        }
        foreach (NetOperation<bool> acceptor in acceptors) acceptor.Result();
        foreach (Conn conn in accepted) Own(conn);
        IEnumerable<string> known = accepted.Select(conn => conn.RemoteEndPoint.ToString()!);
        Assert.Equal(dialed.Order(StringComparer.Ordinal), known.Order(StringComparer.Ordinal));
    }

    /// <summary>Go: TestTCPStress, and the race of TestCloseUnblocksRead. Connections come and go while both ends make calls.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_close_that_races_operations_ends_every_one(bool blocking)
    {
        for (int round = 0; round < 20; round++)
        {
            (Conn client, Conn server) = Stack.Pair(Network, Worker.Bound);
            using (server)
            {
                NetOperation<bool>[] racers =
                [
                    NetOperation.Run(blocking, () => server.EchoAsync(blocking)),
                    NetOperation.Run(blocking, () => client.PourAsync(blocking)),
                    NetOperation.Run(blocking, () => client.DrainAsync(blocking)),
                    NetOperation.Run(blocking, () => client.DrainAsync(blocking)),
                ];
                Thread.SpinWait(round * 500);
                client.Dispose();
                foreach (NetOperation<bool> racer in racers) racer.Result();
            }
        }
    }

    // A child process that somebody starts has a copy of a closed descriptor from its fork(2) to its exec(2). Until then a name without a
    // file is taken.
    private ConnListener ListenAgain(string local)
    {
        ConnListener? listener = null;
        SpinWait.SpinUntil(() => TryListen(), Worker.Bound);
        return listener ?? Stack.Listen(Network, local);

        bool TryListen()
        {
            try
            {
                listener = Stack.Listen(Network, local);
                return true;
            }
            catch (NetOpException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                return false;
            }
        }
    }
}
