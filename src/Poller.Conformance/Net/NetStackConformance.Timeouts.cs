using System.Diagnostics;
using Poller.Net;

namespace Poller.Conformance;

// The tests of Go's net/timeout_test.go.

public abstract partial class NetStackConformance
{
    /// <summary>Go: TestDialTimeout. The time-out of a dialer ends a dial to a listener without room, and not before its time.</summary>
    [Fact]
    public void A_dial_that_gets_no_answer_times_out_and_never_early()
    {
        FullListener full = ListenWithoutRoom();
        TimeSpan span = TimeSpan.FromMilliseconds(30);
        long start = Stopwatch.GetTimestamp();
        NetOperation<Conn> dialing = new(() => new Dialer(Stack) { Timeout = span }.Dial(Network, full.EndPoint.ToString()!));
        dialing.TimesOut();
        AssertNotEarly(start, span);
        NetOpException e = dialing.Fails();
        Assert.Equal("dial", e.Operation);
        Assert.Equal(full.EndPoint, e.RemoteEndPoint);
    }

    /// <summary>Go: TestDialTimeoutMaxDuration. A dial takes the longest time-out that a TimeSpan holds, and an infinite one.</summary>
    [Fact]
    public void A_dial_takes_the_longest_time_out_there_is()
    {
        ConnListener listener = Listen();
        string address = listener.LocalEndPoint.ToString()!;
        foreach (TimeSpan span in (TimeSpan[])[TimeSpan.MaxValue, Timeout.InfiniteTimeSpan])
        {
            NetOperation<Conn> accepting = listener.StartAccept(blocking: false);
            Dialer dialer = new(Stack) { Timeout = span };
            Own(new NetOperation<Conn>(() => dialer.Dial(Network, address)).Result());
            Own(accepting.Result());
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new Dialer(Stack) { Timeout = TimeSpan.Zero });
    }

    /// <summary>Go: TestDialCancel. A token ends a dial as a time-out does.</summary>
    [Fact]
    public void A_dial_that_gets_no_answer_is_cancelled()
    {
        FullListener full = ListenWithoutRoom();
        using CancellationTokenSource source = new();
        ValueTask<Conn> dial = Stack.DialAsync(Network, full.EndPoint.ToString()!, source.Token);
        NetOperation<Conn> dialing = new NetOperation<Conn>(dial.AsTask()).Waiting();
        source.Cancel();
        OperationCanceledException e = Assert.ThrowsAny<OperationCanceledException>(() => { dialing.Result(); });
        Assert.Equal(source.Token, e.CancellationToken);
    }

    /// <summary>
    /// Go: TestAcceptTimeout. A past deadline fails an accept even if a connection waits, and that connection is not lost.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_past_deadline_fails_an_accept_and_loses_no_connection(bool blocking)
    {
        ConnListener listener = Listen();
        Conn client = Own(Dial(listener));
        for (int i = 0; i < 2; i++)
        {
            listener.SetDeadline(LongAgo);
            listener.StartAccept(blocking).TimesOut();
        }
        listener.SetDeadline(null);
        Conn server = Own(listener.StartAccept(blocking).Result());
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
    }

    /// <summary>Go: TestAcceptTimeoutMustReturn. A deadline ahead ends an accept that waits, and not before its time.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_ahead_ends_an_accept_and_never_early(bool blocking)
    {
        ConnListener listener = Listen();
        TimeSpan span = TimeSpan.FromMilliseconds(20);
        long start = Stopwatch.GetTimestamp();
        listener.SetDeadline(DateTimeOffset.UtcNow + span);
        listener.StartAccept(blocking).TimesOut();
        AssertNotEarly(start, span);
    }

    /// <summary>Go: TestAcceptTimeoutMustNotReturn. An accept goes on after its deadline was cleared.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_that_is_cleared_ends_no_accept(bool blocking)
    {
        ConnListener listener = Listen();
        listener.SetDeadline(FromNow(30));
        listener.SetDeadline(null);
        NetOperation<Conn> accepting = listener.StartAccept(blocking);
        AwaitDeadline(30, blocking);
        accepting.Waiting();
        Own(Dial(listener));
        Own(accepting.Result());
    }

    /// <summary>
    /// Go: TestReadTimeout and TestReadTimeoutFluctuation. A read waits in full for deadlines of all sizes. A read that ends by its
    /// deadline loses none of the bytes that come later.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_read_deadline_ahead_is_never_early_and_loses_nothing(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        byte[] buffer = new byte[2];
        foreach (double milliseconds in (double[])[-1, 0.1, 0.5, 1, 3, 7.7, 25])
        {
            TimeSpan span = TimeSpan.FromMilliseconds(milliseconds);
            for (int i = 0; i < 2; i++)
            {
                long start = Stopwatch.GetTimestamp();
                server.SetReadDeadline(DateTimeOffset.UtcNow + span);
                server.StartRead(blocking, buffer).TimesOut();
                AssertNotEarly(start, span);
                server.StartRead(blocking, buffer).TimesOut(); // Each read fails until the deadline is moved.
            }
            byte value = (byte)(milliseconds * 10);
            client.StartWrite(blocking, new[] { value }).Result();
            server.StartRead(blocking, buffer).TimesOut(); // A read fails even if there is something to read.
            server.SetReadDeadline(FromNow(3_600_000));
            Assert.Equal(1, server.StartRead(blocking, buffer).Result());
            Assert.Equal(value, buffer[0]);
        }
    }

    /// <summary>Go: TestReadTimeoutMustNotReturn. A read goes on after its deadline was cleared.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_that_is_cleared_ends_no_read(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        server.SetDeadline(FromNow(30));
        server.SetWriteDeadline(FromNow(30));
        server.SetReadDeadline(null);
        NetOperation<int> reading = server.StartRead(blocking, new byte[1]);
        AwaitDeadline(30, blocking);
        reading.Waiting();
        client.StartWrite(blocking, One).Result();
        Assert.Equal(1, reading.Result());
    }

    /// <summary>Go: TestWriteTimeout and TestWriteTimeoutFluctuation. A write that waits for room waits in full for its deadline.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_write_deadline_ahead_is_never_early(bool blocking)
    {
        (Conn client, Conn _) = Pair();
        foreach (double milliseconds in (double[])[-1, 0.5, 3, 25])
        {
            TimeSpan span = TimeSpan.FromMilliseconds(milliseconds);
            long start = Stopwatch.GetTimestamp();
            client.SetWriteDeadline(DateTimeOffset.UtcNow + span);
            NetOperation.Run(blocking, async () =>
            {
                // There may be room for the first writes.
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () =>
                {
                    while (true) await client.WriteAsync(blocking, Plenty).ConfigureAwait(false);
                }).ConfigureAwait(false);
                Assert.True(e.IsTimeout, e.Message);
            }).Result();
            AssertNotEarly(start, span);
        }
    }

    /// <summary>Go: TestWriteTimeoutMustNotReturn. A write goes on after its deadline was cleared.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_that_is_cleared_ends_no_write(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        client.SetDeadline(FromNow(30));
        client.SetReadDeadline(FromNow(30));
        client.SetWriteDeadline(null);
        NetOperation<int> writing = client.StartWrite(blocking, Plenty);
        AwaitDeadline(30, blocking);
        writing.Waiting();
        NetOperation<bool> draining = NetOperation.Run(blocking, () => server.DrainAsync(blocking));
        Assert.Equal(Plenty.Length, writing.Result());
        client.Dispose();
        draining.Result();
    }

    /// <summary>Go: TestVariousTimeouts. A deadline ends the reading from a peer that sends without end.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_ends_reading_that_never_waits(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> sending = NetOperation.Run(blocking, () => server.PourAsync(blocking));
        foreach (double milliseconds in (double[])[0.001, 0.1, 1, 5, 20])
        {
            client.SetReadDeadline(FromNow(milliseconds));
            NetOperation.Run(blocking, async () =>
            {
                byte[] buffer = new byte[64 * 1024];
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () =>
                {
                    while (true) Assert.InRange(await client.ReadAsync(blocking, buffer).ConfigureAwait(false), 1, buffer.Length);
                }).ConfigureAwait(false);
                Assert.True(e.IsTimeout, e.Message);
            }).Result();
        }
        client.Dispose();
        sending.Result();
    }

    /// <summary>Go: TestReadWriteProlongedTimeout. A deadline that each operation moves ahead ends no operation.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_that_is_moved_in_time_ends_nothing(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> echo = NetOperation.Run(blocking, () => server.EchoAsync(blocking));
        NetOperation<bool>[] both =
        [
            NetOperation.Run(blocking, async () =>
            {
                byte[] buffer = new byte[1024];
                for (int left = 500 * 100; left > 0;)
                {
                    client.SetReadDeadline(FromNow(60_000));
                    int n = await client.ReadAsync(blocking, buffer).ConfigureAwait(false);
                    Assert.InRange(n, 1, left);
                    left -= n;
                }
            }),
            NetOperation.Run(blocking, async () =>
            {
                for (int i = 0; i < 500; i++)
                {
                    client.SetWriteDeadline(FromNow(60_000));
                    await client.WriteAsync(blocking, new byte[100]).ConfigureAwait(false);
                }
            }),
        ];
        foreach (NetOperation<bool> one in both) one.Result();
        client.CloseWrite();
        echo.Result();

        // Prolonging works for a waiting operation too: it ends by the last deadline.
        (Conn waiting, Conn _) = Pair();
        waiting.SetReadDeadline(FromNow(60_000));
        NetOperation<int> reading = waiting.StartRead(blocking, new byte[1]).Waiting();
        long start = Stopwatch.GetTimestamp();
        DateTimeOffset at = DateTimeOffset.UtcNow;
        for (int ms = 200; ms <= 250; ms += 10) waiting.SetReadDeadline(at + TimeSpan.FromMilliseconds(ms));
        bool inTime = DateTimeOffset.UtcNow < at + TimeSpan.FromMilliseconds(200); // Else an earlier deadline may have ended it.
        reading.TimesOut();
        AssertNotEarly(start, TimeSpan.FromMilliseconds(inTime ? 250 : 200));
    }

    /// <summary>Go: TestReadWriteDeadlineRace. Whatever races, an operation ends by its deadline or because its work is done.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Deadlines_that_race_operations_end_them_by_the_rules(bool blocking)
    {
        const int Rounds = 200;
        (Conn client, Conn server) = Pair();
        NetOperation<bool> draining = NetOperation.Run(blocking, () => server.DrainAsync(blocking));
        NetOperation<bool>[] all =
        [
            NetOperation.Run(blocking: true, () =>
            {
                for (int i = 0; i < Rounds; i++)
                {
                    client.SetReadDeadline(FromNow(0.002));
                    client.SetWriteDeadline(FromNow(0.002));
                }
                return Task.CompletedTask;
            }),
            Race(() => client.ReadAsync(blocking, new byte[1]).AsTask()),
            Race(() => client.WriteAsync(blocking, One).AsTask()),
        ];
        foreach (NetOperation<bool> one in all) one.Result();
        client.Dispose();
        draining.Result();

        NetOperation<bool> Race(Func<Task> operation) => NetOperation.Run(blocking, async () =>
        {
            client.SetDeadline(FromNow(0.002));
            for (int i = 0; i < Rounds; i++)
            {
                try
                {
                    await operation().ConfigureAwait(false);
                }
                catch (NetOpException e)
                {
                    Assert.True(e.IsTimeout, e.Message);
                }
            }
        });
    }

    /// <summary>Go: TestConcurrentSetDeadline. If many connections set deadlines at once, all of them come, and none comes early.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Deadlines_set_from_many_threads_all_come(bool blocking)
    {
        (Conn Client, Conn Server)[] pairs = [.. Enumerable.Range(0, 8).Select(_ => Pair())];
        NetOperation<bool>[] all = [.. pairs.Select((pair, id) => NetOperation.Run(blocking, async () =>
        {
            for (int i = 0; i < 4; i++)
            {
                TimeSpan span = TimeSpan.FromMilliseconds(1 + ((7 * i + 3 * id) % 20));
                long start = Stopwatch.GetTimestamp();
                for (int k = 0; k < 20; k++) pair.Client.SetDeadline(FromNow(1000 + k));
                pair.Client.SetDeadline(DateTimeOffset.UtcNow + span);
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(
                    async () => await pair.Client.ReadAsync(blocking, new byte[1]).ConfigureAwait(false)).ConfigureAwait(false);
                Assert.True(e.IsTimeout, e.Message);
                AssertNotEarly(start, span);
            }
        }))];
        foreach (NetOperation<bool> one in all) one.Result();
    }

    /// <summary>
    /// The contract of <see cref="Conn.ReadTimeout"/> and <see cref="Conn.WriteTimeout"/>: each operation's time-out counts from when the
    /// operation starts, for the async calls too, and Infinite sets no limit.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_time_out_counts_anew_for_each_operation(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        TimeSpan span = TimeSpan.FromMilliseconds(10);
        (client.ReadTimeout, client.WriteTimeout) = ((int)span.TotalMilliseconds, (int)span.TotalMilliseconds);
        for (int i = 0; i < 3; i++)
        {
            long start = Stopwatch.GetTimestamp();
            client.StartRead(blocking, new byte[1]).TimesOut();
            AssertNotEarly(start, span);
        }
        client.StartWrite(blocking, Plenty).TimesOut();
        (client.ReadTimeout, client.WriteTimeout) = (Timeout.Infinite, Timeout.Infinite);
        NetOperation<int> reading = client.StartRead(blocking, new byte[1]);
        AwaitDeadline(20, blocking);
        reading.Waiting();
        server.StartWrite(blocking, One).Result();
        Assert.Equal(1, reading.Result());
    }

    /// <summary>
    /// The contract: of a deadline and a time-out the earlier holds. A time-out that has passed does not fail the next operation. A
    /// deadline that has passed does, even if the time-out is removed.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void The_earlier_of_a_deadline_and_a_time_out_holds(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        TimeSpan span = TimeSpan.FromMilliseconds(10);
        int hour = (int)TimeSpan.FromHours(1).TotalMilliseconds;

        (client.ReadTimeout, client.WriteTimeout) = (hour, hour);
        long start = Stopwatch.GetTimestamp();
        client.SetDeadline(span);
        client.StartRead(blocking, new byte[1]).TimesOut();
        client.StartWrite(blocking, Plenty).TimesOut();
        AssertNotEarly(start, span);
        (client.ReadTimeout, client.WriteTimeout) = (Timeout.Infinite, Timeout.Infinite);
        client.StartRead(blocking, new byte[1]).TimesOut();

        client.SetDeadline(TimeSpan.FromHours(1));
        client.ReadTimeout = (int)span.TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        client.StartRead(blocking, new byte[1]).TimesOut();
        AssertNotEarly(start, span);
        server.StartWrite(blocking, One).Result();
        client.ReadTimeout = hour;
        Assert.Equal(1, client.StartRead(blocking, new byte[1]).Result());
    }

    /// <summary>The contract: a cancelled operation names its token, and the connection stays as it was.</summary>
    [Fact]
    public void A_token_ends_what_waits_and_loses_no_byte()
    {
        (Conn client, Conn server) = Pair();
        using CancellationTokenSource source = new();
        byte[] buffer = new byte[2];
        NetOperation<int> reading = new NetOperation<int>(server.ReadAsync(buffer, source.Token).AsTask()).Waiting();
        NetOperation<int> queued = new NetOperation<int>(server.ReadAsync(buffer, source.Token).AsTask()).Waiting();
        source.Cancel();
        Assert.Equal(source.Token, Assert.ThrowsAny<OperationCanceledException>(() => { reading.Result(); }).CancellationToken);
        Assert.Equal(source.Token, Assert.ThrowsAny<OperationCanceledException>(() => { queued.Result(); }).CancellationToken);
        client.StartWrite(blocking: false, One).Result();
        Assert.Equal(1, server.StartRead(blocking: false, buffer).Result());
    }

    /// <summary>Returns when a deadline that is this far ahead has come on another connection of the stack.</summary>
    private void AwaitDeadline(double milliseconds, bool blocking)
    {
        (Conn witness, Conn _) = Pair();
        witness.SetReadDeadline(FromNow(milliseconds));
        witness.StartRead(blocking, new byte[1]).TimesOut();
    }
}
