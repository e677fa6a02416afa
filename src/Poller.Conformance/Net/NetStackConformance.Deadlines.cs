using System.Diagnostics;
using Poller.Net;

namespace Poller.Conformance;

// The tests of deadlines in Go's nettest.

public abstract partial class NetStackConformance
{
    /// <summary>Go: testReadTimeout of nettest. A read deadline in the past fails reads, and no write.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_read_deadline_fails_reads_alone(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> draining = NetOperation.Run(blocking, () => server.DrainAsync(blocking));
        client.SetReadDeadline(LongAgo);
        client.StartRead(blocking, new byte[1024]).TimesOut();
        client.StartWaitToRead(blocking).TimesOut();
        Assert.Equal(1024, client.StartWrite(blocking, new byte[1024]).Result());
        client.Dispose();
        draining.Result();
    }

    /// <summary>Go: testWriteTimeout of nettest. A write deadline in the past fails writes, and no read.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_write_deadline_fails_writes_alone(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> sending = NetOperation.Run(blocking, () => server.PourAsync(blocking));
        client.SetWriteDeadline(LongAgo);
        client.StartWrite(blocking, new byte[1024]).TimesOut();
        Assert.InRange(client.StartRead(blocking, new byte[1024]).Result(), 1, 1024);
        client.Dispose();
        sending.Result();
    }

    /// <summary>
    /// Go: testPastTimeout of nettest. A deadline in the past fails every operation. The operations send nothing and take nothing, and the
    /// connection stays usable.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_deadline_loses_no_byte(bool blocking)
    {
        (Conn client, Conn server) = Pair();
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

    /// <summary>
    /// Go: testPresentTimeout of nettest, and TestReadTimeoutUnblocksRead of net. A deadline that is set to now ends waiting operations at
    /// once.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_that_is_set_to_the_past_ends_what_waits(bool blocking)
    {
        (Conn client, Conn _) = Pair();
        NetOperation<int> reading = client.StartRead(blocking, new byte[1024]).Waiting();
        NetOperation<int> queued = client.StartRead(blocking, new byte[1024]).Waiting();
        NetOperation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        client.SetDeadline(LongAgo);
        reading.TimesOut();
        queued.TimesOut();
        writing.TimesOut();
    }

    /// <summary>
    /// Go: testFutureTimeout of nettest. A waiting operation ends when its deadline comes, and not before. Afterwards the connection works.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_ahead_ends_what_waits_and_never_early(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        TimeSpan span = TimeSpan.FromMilliseconds(50);
        long start = Stopwatch.GetTimestamp();
        client.SetDeadline(DateTimeOffset.UtcNow + span);
        NetOperation<int> reading = client.StartRead(blocking, new byte[1024]);
        NetOperation<int> writing = client.StartWrite(blocking, Plenty);
        reading.TimesOut();
        writing.TimesOut();
        AssertNotEarly(start, span);

        // The write may have sent a part, so read up to a mark. Then the connection is as before.
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

    /// <summary>Go: testCloseTimeout of nettest. A close ends waiting operations, whatever their deadline is.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_close_ends_what_waits_for_a_deadline(bool blocking)
    {
        (Conn client, Conn _) = Pair();
        client.SetDeadline(FromNow(3_600_000));
        NetOperation<int> reading = client.StartRead(blocking, new byte[1024]).Waiting();
        NetOperation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        client.Dispose();
        reading.EndsByClose();
        writing.EndsByClose();
        Assert.Throws<ObjectDisposedException>(() => client.SetDeadline(null));
    }
}
