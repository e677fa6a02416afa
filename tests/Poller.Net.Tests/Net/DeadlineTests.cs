using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>
/// Deadlines end what waits, never early, and leave the connection usable. How late they are
/// is <see cref="DeadlineLatenessTests{TBackend}"/>'.
/// </summary>
public abstract class DeadlineTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly byte[] One = [1];

    // More than the kernel's buffers of both ends hold: a write of it waits.
    private static readonly byte[] Plenty = new byte[16 << 20];

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_past_deadline_fails_a_read_also_when_there_is_something_to_read(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        client.Write(One);
        Assert.True(await server.WaitToReadAsync().Within());
        DateTimeOffset now = DateTimeOffset.UtcNow;
        DateTimeOffset first = DateTimeOffset.MinValue + TimeSpan.FromTicks(1); // The one before it clears.
        foreach (DateTimeOffset past in (DateTimeOffset[])[now, now - TimeSpan.FromSeconds(1), DateTimeOffset.UnixEpoch, first])
        {
            server.SetReadDeadline(past);
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[1]));
            AssertTimeout(e, "read", server);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, Memory<byte>.Empty))).IsTimeout);
            e = await Assert.ThrowsAsync<NetOpException>(() => server.StartWaitToRead(blocking).Within());
            AssertTimeout(e, "wait to read", server);
        }
        server.SetReadDeadline(null);
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[8]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_past_deadline_fails_a_write_also_when_there_is_room(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        client.SetWriteDeadline(DateTimeOffset.UnixEpoch);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(() => client.WriteAsync(blocking, One)), "write", client);
        client.SetWriteDeadline(null);
        await client.WriteAsync(blocking, One);
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[8])); // The first write sent nothing.
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_past_deadline_ends_what_waits_at_once(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        Operation<int> reading = client.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> queued = client.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        client.SetReadDeadline(DateTimeOffset.UnixEpoch);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", client);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(queued.Within), "read", client);
        writing.Waiting();
        client.SetDeadline(DateTimeOffset.UnixEpoch);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(writing.Within), "write", client);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_ahead_ends_a_read_and_never_early(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        foreach (double milliseconds in (double[])[0.2, 1, 5, 17.3, 40])
        {
            TimeSpan span = TimeSpan.FromMilliseconds(milliseconds);
            long start = Stopwatch.GetTimestamp();
            server.SetReadDeadline(DateTimeOffset.UtcNow + span);
            AssertTimeout(await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[1])), "read", server);
            AssertNotEarly(start, span);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_ahead_ends_a_write_and_never_early(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        TimeSpan span = TimeSpan.FromMilliseconds(30);
        long start = Stopwatch.GetTimestamp();
        client.SetWriteDeadline(DateTimeOffset.UtcNow + span);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(writing.Within), "write", client);
        AssertNotEarly(start, span);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(() => client.WriteAsync(blocking, One)), "write", client);

        // The peer reads what was sent. Then the connection can write again.
        client.SetWriteDeadline(null);
        Task draining = Operation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[1 << 16];
            int n;
            do n = blocking ? server.Read(buffer) : await server.ReadAsync(buffer).ConfigureAwait(false);
            while (buffer[n - 1] != 1);
        });
        await client.WriteAsync(blocking, One);
        await draining.Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_is_cleared_while_a_read_waits_does_not_end_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn _, TcpConn witness) = await fixture.PairAsync();
        foreach (DateTimeOffset? none in (DateTimeOffset?[])[null, default(DateTimeOffset)])
        {
            server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromSeconds(10));
            Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
            DateTimeOffset soon = DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(30);
            witness.SetReadDeadline(soon + TimeSpan.FromMilliseconds(1));
            server.SetReadDeadline(soon);
            server.SetReadDeadline(none);
            if (DateTimeOffset.UtcNow >= soon) // The 30 ms went by between the two calls, so the read may have ended.
            {
                server.SetReadDeadline(DateTimeOffset.UnixEpoch);
                AssertTimeout(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", server);
                continue;
            }
            await Assert.ThrowsAsync<NetOpException>(() => witness.ReadAsync(blocking, new byte[1]));
            reading.Waiting();
            client.Write(One);
            Assert.Equal(1, await reading.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_is_moved_while_a_read_waits_counts_as_moved(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();

        // Move the deadline later, step by step.
        server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromSeconds(10));
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        long start = Stopwatch.GetTimestamp();
        DateTimeOffset at = DateTimeOffset.UtcNow;
        for (int ms = 200; ms <= 260; ms += 10) server.SetReadDeadline(at + TimeSpan.FromMilliseconds(ms));
        bool inTime = DateTimeOffset.UtcNow < at + TimeSpan.FromMilliseconds(200); // Else an earlier deadline may have ended the read.
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", server);
        AssertNotEarly(start, TimeSpan.FromMilliseconds(inTime ? 260 : 200));

        // Move it earlier.
        server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromHours(1));
        reading = server.StartRead(blocking, new byte[1]).Waiting();
        start = Stopwatch.GetTimestamp();
        server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(20));
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", server);
        AssertNotEarly(start, TimeSpan.FromMilliseconds(20));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_passes_over_an_idle_connection_fails_what_comes_after(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn _, TcpConn witness) = await fixture.PairAsync();
        DateTimeOffset soon = DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(10);
        server.SetDeadline(soon);
        witness.SetReadDeadline(soon + TimeSpan.FromMilliseconds(1));
        client.Write(One);
        await Assert.ThrowsAsync<NetOpException>(() => witness.ReadAsync(blocking, new byte[1]));
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[1])), "read", server);
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(blocking, One)), "write", server);
        server.SetDeadline(DateTimeOffset.MaxValue);
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[1]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_connection_is_usable_after_any_number_of_deadlines(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        for (byte i = 0; i < 20; i++)
        {
            server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(1));
            await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, buffer));
            server.SetReadDeadline(DateTimeOffset.UtcNow + Fixture.Patience);
            Operation<int> reading = server.StartRead(blocking, buffer).Waiting();
            await client.WriteAsync(blocking, new[] { i });
            Assert.Equal(1, await reading.Within());
            Assert.Equal(i, buffer[0]);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_holds_for_its_own_direction(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        server.SetReadDeadline(DateTimeOffset.UnixEpoch);
        await server.WriteAsync(blocking, One);
        Assert.Equal(1, await client.ReadAsync(blocking, new byte[8]));
        server.SetDeadline(null);
        server.SetWriteDeadline(DateTimeOffset.UnixEpoch);
        await client.WriteAsync(blocking, One);
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[8]));
        await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(blocking, One));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_time_out_counts_anew_for_each_read(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        server.ReadTimeout = 20;
        Assert.Equal(20, server.ReadTimeout);
        for (int i = 0; i < 3; i++)
        {
            long start = Stopwatch.GetTimestamp();
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[1]));
            AssertTimeout(e, "read", server, "time-out of 20 ms");
            AssertNotEarly(start, TimeSpan.FromMilliseconds(20));
        }

        // An infinite time-out also ends the one that the last operation left.
        server.ReadTimeout = Timeout.Infinite;
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        client.Write(One);
        Assert.Equal(1, await reading.Within());

        server.ReadTimeout = (int)Fixture.Patience.TotalMilliseconds;
        client.Write(One);
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[1]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_time_out_ends_a_write_that_waits(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        client.WriteTimeout = 20;
        Assert.Equal(20, client.WriteTimeout);
        await client.WriteAsync(blocking, One);
        for (int i = 0; i < 2; i++)
        {
            long start = Stopwatch.GetTimestamp();
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => client.WriteAsync(blocking, Plenty));
            AssertTimeout(e, "write", client, "time-out of 20 ms");
            AssertNotEarly(start, TimeSpan.FromMilliseconds(20));
        }
        client.WriteTimeout = Timeout.Infinite;
        client.StartWrite(blocking, Plenty).Waiting();
    }

    // It names the length that the read had, and not a new one; and the deadline, if that has passed too.
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_says_whether_its_time_out_or_its_deadline_passed(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        server.ReadTimeout = 2000;
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        server.ReadTimeout = 1000;
        clock.Advance(TimeSpan.FromSeconds(2));
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", server, "time-out of 2000 ms");

        server.SetReadDeadline(TimeSpan.FromSeconds(1));
        reading = server.StartRead(blocking, new byte[1]).Waiting();
        clock.Advance(TimeSpan.FromSeconds(1));
        AssertTimeout(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", server);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-2)]
    [InlineData(int.MinValue)]
    public async Task A_time_out_that_is_none_is_refused(int milliseconds)
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        Assert.Throws<ArgumentOutOfRangeException>(() => conn.ReadTimeout = milliseconds);
        Assert.Throws<ArgumentOutOfRangeException>(() => conn.WriteTimeout = milliseconds);
        Assert.Equal((Timeout.Infinite, Timeout.Infinite), (conn.ReadTimeout, conn.WriteTimeout));
    }

    [Fact]
    public async Task A_deadline_of_a_closed_connection_is_refused()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        conn.SetDeadline(TimeSpan.FromHours(1));
        conn.Dispose();
        Check("set deadline", () => conn.SetDeadline(DateTimeOffset.UtcNow));
        Check("set read deadline", () => conn.SetReadDeadline(null));
        Check("set write deadline", () => conn.SetWriteDeadline(null));
        Check("set deadline", () => conn.SetDeadline(TimeSpan.Zero));
        Check("set read deadline", () => conn.SetReadDeadline(TimeSpan.FromHours(2)));
        Check("set write deadline", () => conn.SetWriteDeadline(Timeout.InfiniteTimeSpan));

        static void Check(string operation, Action action) =>
            Assert.Contains(operation, Assert.Throws<ObjectDisposedException>(action).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_time_outs_of_a_closed_connection_are_refused()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        conn.ReadTimeout = 1000;
        conn.Dispose();
        Check("get ReadTimeout", () => _ = conn.ReadTimeout);
        Check("get WriteTimeout", () => _ = conn.WriteTimeout);
        Check("set ReadTimeout", () => conn.ReadTimeout = 1);
        Check("set WriteTimeout", () => conn.WriteTimeout = Timeout.Infinite);

        static void Check(string operation, Action action)
        {
            ObjectDisposedException e = Assert.Throws<ObjectDisposedException>(action);
            Assert.StartsWith($"{operation} tcp: closed", e.Message, StringComparison.Ordinal);
            Assert.Equal(nameof(TcpConn), e.ObjectName);
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Threads_that_race_for_a_deadline_leave_the_last_one_in_force(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[1];
        for (int round = 0; round < 20; round++)
        {
            server.SetDeadline(null);
            Operation<int> reading = server.StartRead(blocking: false, buffer).Waiting();
            await Task.WhenAll(Enumerable.Range(0, 4).Select(id => Operation.OnOwnThread(() =>
            {
                Random random = new(id + (round * 100));
                for (int i = 0; i < 200; i++)
                {
                    if (random.Next(8) == 0) server.SetReadDeadline(null);
                    else server.SetDeadline(DateTimeOffset.UtcNow + TimeSpan.FromSeconds(10 + random.Next(3600)));
                }
            }))).Within();
            reading.Waiting();
            if (round % 2 == 0)
            {
                server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(2));
                Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
            }
            else
            {
                client.Write(One);
                Assert.Equal(1, await reading.Within());
            }
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Bytes_that_race_a_deadline_are_read_now_or_after_it(NetpollDispatch dispatch, bool blocking)
    {
        const int Rounds = 1000;
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        int next = 0;
        int timeouts = 0;
        Task reading = Operation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[16];
            while (next < Rounds)
            {
                server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMicroseconds(50));
                try
                {
                    int n = blocking ? server.Read(buffer) : await server.ReadAsync(buffer).ConfigureAwait(false);
                    Assert.Equal((1, (byte)next), (n, buffer[0]));
                    Volatile.Write(ref next, next + 1);
                }
                catch (NetOpException e) when (e.IsTimeout)
                {
                    Interlocked.Increment(ref timeouts);
                }
            }
        });
        await Operation.OnOwnThread(() =>
        {
            // The byte comes at times from well before the reader's deadline to well after it. Now and then it surely comes after one.
            for (int i = 0; i < Rounds; i++)
            {
                Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref next) == i, Fixture.Patience), $"byte {i - 1} was not read.");
                int before = Volatile.Read(ref timeouts);
                if (i % 100 > 0) Thread.SpinWait(i * 7 % 4000);
                else Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref timeouts) != before, Fixture.Patience), "no deadline passed.");
                client.WriteByte((byte)i);
            }
        }).Within();
        await reading.Within();
    }

    private static void AssertTimeout(NetOpException e, string operation, Conn conn, string passed = "deadline")
    {
        Assert.True(e.IsTimeout, e.Message);
        Assert.False(e.IsClosed);
        Assert.Equal($"The {passed} passed.", Assert.IsType<TimeoutException>(e.InnerException).Message);
        Assert.Equal(SocketError.TimedOut, e.SocketErrorCode);
        Assert.Equal((operation, "tcp"), (e.Operation, e.Network));
        Assert.Equal($"{operation} tcp {conn.LocalEndPoint}->{conn.RemoteEndPoint}: the {passed} passed", e.Message);
    }

    // A DateTimeOffset counts in ticks, so the deadline may be up to one tick early.
    private static void AssertNotEarly(long start, TimeSpan span)
    {
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        Assert.True(elapsed >= span - TimeSpan.FromTicks(1), $"{elapsed} is earlier than {span}.");
    }
}
