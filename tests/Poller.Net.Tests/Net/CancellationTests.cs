namespace Poller.Net.Tests;

/// <summary>A token ends its own operation, and the connection goes on.</summary>
public abstract class CancellationTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly byte[] One = [1];

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_a_waiting_read_and_the_connection_reads_on(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        for (byte i = 0; i < 10; i++)
        {
            using CancellationTokenSource cancel = new();
            Task<int> reading = server.ReadAsync(buffer, cancel.Token).AsTask();
            Task<bool>? waiting = i % 2 == 0 ? server.WaitToReadAsync(cancel.Token).AsTask() : null;
            Assert.False(reading.IsCompleted);
            await cancel.CancelAsync();
            await AssertCanceledAsync(reading, cancel);
            if (waiting is not null) await AssertCanceledAsync(waiting, cancel);
            ValueTask<int> read = server.ReadAsync(buffer);
            client.Write([i]);
            Assert.Equal(1, await read.Within());
            Assert.Equal(i, buffer[0]);
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_a_waiting_wait(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource cancel = new();
        Task<bool> waiting = server.WaitToReadAsync(cancel.Token).AsTask();
        Assert.False(waiting.IsCompleted);
        await cancel.CancelAsync();
        await AssertCanceledAsync(waiting, cancel);
        client.Write(One);
        Assert.True(await server.WaitToReadAsync().Within());
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_a_waiting_write_and_the_connection_writes_on(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource cancel = new();
        Task writing = client.WriteAsync(new byte[16 << 20], cancel.Token).AsTask();
        Assert.False(writing.IsCompleted);
        await cancel.CancelAsync();
        await AssertCanceledAsync(writing, cancel);

        ValueTask last = client.WriteAsync(One);
        byte[] buffer = new byte[1 << 16];
        int n;
        do n = await server.ReadAsync(buffer).Within();
        while (buffer[n - 1] != 1);
        await last.Within();
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_a_queued_read_and_leaves_the_one_before_it(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource cancel = new();
        Task<int> first = server.ReadAsync(new byte[8]).AsTask();
        Task<int> second = server.ReadAsync(new byte[8], cancel.Token).AsTask();
        Task<int> third = server.ReadAsync(new byte[8]).AsTask();
        await cancel.CancelAsync();
        await AssertCanceledAsync(second, cancel);
        Assert.False(first.IsCompleted || third.IsCompleted);
        client.Write([1, 2]);
        Assert.Equal(2, await first.Within());
        client.Write(One);
        Assert.Equal(1, await third.Within());
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_that_was_cancelled_before_does_nothing_but_fail(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource cancel = new();
        await cancel.CancelAsync();
        client.Write([1, 2, 3]);
        Assert.True(await server.WaitToReadAsync().Within());
        await AssertCanceledAsync(server.ReadAsync(new byte[8], cancel.Token).AsTask(), cancel);
        await AssertCanceledAsync(server.ReadAsync(new byte[8], 0, 8, cancel.Token), cancel);
        await AssertCanceledAsync(server.WaitToReadAsync(cancel.Token).AsTask(), cancel);
        await AssertCanceledAsync(server.WriteAsync(One, cancel.Token).AsTask(), cancel);
        Assert.Equal(3, await server.ReadAsync(new byte[8]).Within()); // Nothing was taken.
        server.CloseWrite();
        Assert.Equal(0, await client.ReadAsync(new byte[8]).Within()); // Nothing was sent.
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_that_is_cancelled_after_its_operation_does_not_touch_the_next(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        for (int i = 0; i < 100; i++)
        {
            using CancellationTokenSource cancel = new();
            ValueTask<int> first = server.ReadAsync(new byte[8], cancel.Token);
            client.Write(One);
            Assert.Equal(1, await first.Within());
            Task<int> next = server.ReadAsync(new byte[8]).AsTask();
            await cancel.CancelAsync();
            Assert.False(next.IsCompleted);
            client.Write(One);
            Assert.Equal(1, await next.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_cancelled_task_is_cancelled_and_not_faulted(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource cancel = new();
        Task<int> reading = server.ReadAsync(new byte[8], cancel.Token).AsTask();
        await cancel.CancelAsync();
        await AssertCanceledAsync(reading, cancel);
        Assert.True(reading.IsCanceled);
        ValueTask<int> before = server.ReadAsync(new byte[8], cancel.Token);
        Assert.True(before.IsCanceled);
        await AssertCanceledAsync(before.AsTask(), cancel);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Cancellations_that_race_the_bytes_lose_none(NetpollDispatch dispatch)
    {
        const int Bytes = 5000;
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource done = new();
        CancellationTokenSource? current = null;
        Task canceling = Operation.OnOwnThread(() =>
        {
            for (int i = 0; !done.IsCancellationRequested; i++)
            {
                Volatile.Read(ref current)?.Cancel();
                Thread.SpinWait(i % 500);
            }
        });
        Task writing = Operation.OnOwnThread(() =>
        {
            for (int i = 0; i < Bytes; i++)
            {
                client.WriteByte((byte)i);
                Thread.SpinWait(i * 7 % 500);
            }
        });
        int canceled = 0;
        await Task.Run(async () =>
        {
            byte[] buffer = new byte[16];
            for (int next = 0; next < Bytes || canceled == 0;)
            {
                CancellationTokenSource cancel = new();
                Volatile.Write(ref current, cancel);
                try
                {
                    int n = await server.ReadAsync(buffer, cancel.Token).ConfigureAwait(false);
                    Assert.NotEqual(0, n);
                    foreach (byte value in buffer.AsSpan(0, n)) Assert.Equal((byte)next++, value);
                }
                catch (OperationCanceledException e)
                {
                    Assert.Equal(cancel.Token, e.CancellationToken);
                    canceled++;
                }
            }
        }).Within();
        await done.CancelAsync();
        await Task.WhenAll(canceling, writing).Within();
        Assert.NotEqual(0, canceled);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Queued_readers_that_come_and_go_lose_no_byte_and_leave_nobody_stuck(NetpollDispatch dispatch)
    {
        const int Readers = 6;
        const int Bytes = 5000;
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        int received = 0;
        Task[] reading = [.. Enumerable.Range(0, Readers).Select(id => Task.Run(async () =>
        {
            Random random = new(id);
            byte[] buffer = new byte[4];
            while (true)
            {
                // Cancelled before, during and after the wait for the lock, and for the bytes.
                using CancellationTokenSource cancel = new(TimeSpan.FromMicroseconds(random.Next(1, 3000)));
                try
                {
                    int n = await server.ReadAsync(buffer, cancel.Token).ConfigureAwait(false);
                    if (n == 0) return;
                    Interlocked.Add(ref received, n);
                }
                catch (OperationCanceledException e)
                {
                    Assert.Equal(cancel.Token, e.CancellationToken);
                }
            }
        }))];
        await Operation.OnOwnThread(() =>
        {
            for (int i = 0; i < Bytes; i++)
            {
                client.WriteByte((byte)i);
                Thread.SpinWait(i * 7 % 2000);
            }
            client.CloseWrite();
        }).Within();
        await Task.WhenAll(reading).Within();
        Assert.Equal(Bytes, received);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Cancellation_deadline_close_and_bytes_at_once_end_a_read_one_way(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        int[] outcomes = new int[4];
        for (int round = 0; round < 200; round++)
        {
            (TcpConn client, TcpConn server) = await fixture.PairAsync();
            using CancellationTokenSource cancel = new();
            Task<int> reading = server.ReadAsync(new byte[8], cancel.Token).AsTask();
            using Barrier barrier = new(4);

            // A read that finds bytes ends with them. So in half of the rounds no bytes come, and the others race alone.
            bool bytesCome = round % 8 < 4;
            Action[] ends =
            [
                cancel.Cancel,
                server.Dispose,
                () =>
                {
                    if (bytesCome) client.WriteByte(1);
                },
                () =>
                {
                    try
                    {
                        server.SetReadDeadline(DateTimeOffset.UnixEpoch);
                    }
                    catch (ObjectDisposedException)
                    {
                        Assert.False(server.CanRead);
                    }
                },
            ];

            // The last thread that comes to the barrier is the first to leave it. So each of them comes last in turn.
            await Task.WhenAll(Enumerable.Range(round, ends.Length).Select(i => At(barrier, ends[i % ends.Length]))).Within();
            try
            {
                Assert.Equal((1, true), (await reading.Within(), bytesCome));
                outcomes[0]++;
            }
            catch (OperationCanceledException)
            {
                outcomes[1]++;
            }
            catch (NetOpException e)
            {
                Assert.True(e.IsTimeout ^ e.IsClosed, e.Message);
                outcomes[e.IsTimeout ? 2 : 3]++;
            }
            client.Dispose();
        }
        Assert.True(
            outcomes.Count(static n => n > 0) > 1,
            $"bytes, cancellation, deadline, close: {string.Join(", ", outcomes)}; nobody raced.");

        static Task At(Barrier barrier, Action action) => Operation.OnOwnThread(() =>
        {
            barrier.SignalAndWait(Fixture.Patience);
            action();
        });
    }

    // The source of this token is gone, so nobody will ever cancel it. A linked source in a using leaves such a token, for example.
    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_whose_source_was_disposed_cancels_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        CancellationTokenSource source = new();
        CancellationToken token = source.Token;
        source.Dispose();
        ValueTask<int> read = server.ReadAsync(new byte[1], token);
        client.Write([1]);
        Assert.Equal(1, await read.Within());
    }

    private static async Task AssertCanceledAsync(Task task, CancellationTokenSource cancel)
    {
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(task.Within);
        Assert.Equal(cancel.Token, e.CancellationToken);
    }
}
