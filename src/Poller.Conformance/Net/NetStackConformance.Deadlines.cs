using System.Diagnostics;
using Poller.Net;

namespace Poller.Conformance;

// The deadlines of Go's nettest.

public abstract partial class NetStackConformance
{
    /// <summary>Go: testReadTimeout of nettest. A read deadline that is past fails reads, and no write.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_read_deadline_fails_reads_alone(bool blocking)
    {
        (TcpConn client, TcpConn server) = Pair();
        NetOperation<bool> draining = NetOperation.Run(blocking, () => server.DrainAsync(blocking));
        client.SetReadDeadline(LongAgo);
        client.StartRead(blocking, new byte[1024]).TimesOut();
        client.StartWaitToRead(blocking).TimesOut();
        Assert.Equal(1024, client.StartWrite(blocking, new byte[1024]).Result());
        client.Dispose();
        draining.Result();
    }

    /// <summary>Go: testWriteTimeout of nettest. A write deadline that is past fails writes, and no read.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_write_deadline_fails_writes_alone(bool blocking)
    {
        (TcpConn client, TcpConn server) = Pair();
        NetOperation<bool> sending = NetOperation.Run(blocking, () => server.PourAsync(blocking));
        client.SetWriteDeadline(LongAgo);
        client.StartWrite(blocking, new byte[1024]).TimesOut();
        Assert.InRange(client.StartRead(blocking, new byte[1024]).Result(), 1, 1024);
        client.Dispose();
        sending.Result();
    }

    /// <summary>Go: testPastTimeout of nettest. It fails everything, sends nothing, takes nothing, and harms nothing.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_deadline_loses_no_byte(bool blocking)
    {
        (TcpConn client, TcpConn server) = Pair();
        NetOperation<bool> echo = NetOperation.Run(blocking, () => server.EchoAsync(blocking));
        AssertRoundTrip(client, blocking);
        client.StartWrite(blocking, One).Result();
        client.StartWaitToRead(blocking).FindsBytes();
        client.SetDeadline(LongAgo);
        client.StartWrite(blocking, new byte[1024]).TimesOut();
        client.StartRead(blocking, new byte[1024]).TimesOut();
        client.SetDeadline(null);
        Assert.Equal(1, client.StartRead(blocking, new byte[1024]).Result());
        AssertRoundTrip(client, blocking);
        client.CloseWrite();
        echo.Result();
    }

    /// <summary>Go: testPresentTimeout of nettest, and TestReadTimeoutUnblocksRead of net: what waits ends at once.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_that_is_set_to_the_past_ends_what_waits(bool blocking)
    {
        (TcpConn client, TcpConn _) = Pair();
        NetOperation<int> reading = client.StartRead(blocking, new byte[1024]).Waiting();
        NetOperation<int> queued = client.StartRead(blocking, new byte[1024]).Waiting();
        NetOperation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        client.SetDeadline(LongAgo);
        reading.TimesOut();
        queued.TimesOut();
        writing.TimesOut();
    }

    /// <summary>Go: testFutureTimeout of nettest. What waits ends when the time has come, not before, and all is well after it.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_ahead_ends_what_waits_and_never_early(bool blocking)
    {
        (TcpConn client, TcpConn server) = Pair();
        TimeSpan span = TimeSpan.FromMilliseconds(50);
        long start = Stopwatch.GetTimestamp();
        client.SetDeadline(DateTimeOffset.UtcNow + span);
        NetOperation<int> reading = client.StartRead(blocking, new byte[1024]);
        NetOperation<int> writing = client.StartWrite(blocking, Plenty);
        reading.TimesOut();
        writing.TimesOut();
        AssertNotEarly(start, span);

        // What was sent of the write is read, up to a mark; and then it is as before.
        client.SetDeadline(null);
        NetOperation<int> marking = client.StartWrite(blocking, One);
        NetOperation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[64 * 1024];
            int n;
            do n = await server.ReadAsync(blocking, buffer).ConfigureAwait(false);
            while (buffer[n - 1] != One[0]);
        }).Result();
        marking.Result();
        NetOperation<bool> echo = NetOperation.Run(blocking, () => server.EchoAsync(blocking));
        AssertRoundTrip(client, blocking);
        client.CloseWrite();
        echo.Result();
    }

    /// <summary>Go: testCloseTimeout of nettest. A close ends what waits, whatever the deadline.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_close_ends_what_waits_for_a_deadline(bool blocking)
    {
        (TcpConn client, TcpConn _) = Pair();
        client.SetDeadline(FromNow(3_600_000));
        NetOperation<int> reading = client.StartRead(blocking, new byte[1024]).Waiting();
        NetOperation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        client.Dispose();
        reading.EndsByClose();
        writing.EndsByClose();
        Assert.Throws<ObjectDisposedException>(() => client.SetDeadline(null));
    }
}
