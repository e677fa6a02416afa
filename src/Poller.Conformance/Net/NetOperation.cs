using System.Diagnostics;
using System.Net;
using Poller.Net;

namespace Poller.Conformance;

/// <summary>
/// A call in its async form or, on a thread of its own, in its blocking form. What it comes to is waited for with a bound, by a thread that
/// is no loop's.
/// </summary>
internal sealed class NetOperation<T>
{
    private readonly Thread? _thread;

    public NetOperation(Task<T> async) => Task = async;

    public NetOperation(Func<T> blocking)
    {
        TaskCompletionSource<T> source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task = source.Task;
        _thread = new Thread(() =>
        {
            try
            {
                source.SetResult(blocking());
            }
#pragma warning disable CA1031 // Handed to whoever asks for the result.
            catch (Exception e)
#pragma warning restore CA1031
            {
                source.SetException(e);
            }
        })
        { IsBackground = true, Name = "blocking form" };
        _thread.Start();
    }

    public Task<T> Task { get; }

    /// <summary>
    /// Returns once the call waits, which says true, or has ended: an async one waits when its call has returned, a blocking one when its
    /// thread sleeps.
    /// </summary>
    public bool HasBegun(TimeSpan patience)
    {
        long start = Stopwatch.GetTimestamp();
        for (SpinWait spin = default; !Task.IsCompleted && _thread is not null; spin.SpinOnce(sleep1Threshold: -1))
        {
            if ((_thread.ThreadState & System.Threading.ThreadState.WaitSleepJoin) != 0) break;
            if (Stopwatch.GetElapsedTime(start) <= patience) continue;
            throw new TimeoutException($"a call neither waited nor ended within {patience.TotalSeconds} s");
        }
        return !Task.IsCompleted;
    }

    /// <summary>Returns once the call waits; it is not to end.</summary>
    public NetOperation<T> Waiting()
    {
        bool waits = HasBegun(Worker.Bound);
        Assert.True(waits, $"a call ended that was expected to wait: {(Task.IsCompletedSuccessfully ? Task.Result : Task.Exception)}");
        return this;
    }

    /// <summary>What it came to, or throws what it threw.</summary>
    /// <exception cref="TimeoutException">It has not ended, and everything that is not stuck would have.</exception>
    public T Result() => Result(Worker.Bound);

    /// <inheritdoc cref="Result()"/>
    public T Result(TimeSpan patience) => Task.WaitAsync(patience).GetAwaiter().GetResult();

    /// <summary>What it failed with.</summary>
    public NetOpException Fails() => Assert.Throws<NetOpException>(() => { Result(); });

    /// <summary>It is to meet a deadline.</summary>
    public void TimesOut()
    {
        NetOpException e = Fails();
        Assert.True(e.IsTimeout, e.Message);
        Assert.False(e.IsClosed, e.Message);
        Assert.IsType<TimeoutException>(e.InnerException);
    }

    /// <summary>It is to end by a close on this side.</summary>
    public void EndsByClose()
    {
        NetOpException e = Fails();
        Assert.True(e.IsClosed, e.Message);
        Assert.False(e.IsTimeout, e.Message);
    }
}

/// <summary>The operations in both forms.</summary>
internal static class NetOperation
{
    /// <summary>A wait to read is to find bytes.</summary>
    public static void FindsBytes(this NetOperation<bool> waiting) =>
        Assert.True(waiting.Result(), "a wait to read told the end; bytes were expected");

    /// <summary>A wait to read is to find the end.</summary>
    public static void FindsTheEnd(this NetOperation<bool> waiting) =>
        Assert.False(waiting.Result(), "a wait to read told of bytes; the end was expected");

    public static NetOperation<int> StartRead(this Conn conn, bool blocking, Memory<byte> buffer) =>
        blocking ? new(() => conn.Read(buffer.Span)) : new(conn.ReadAsync(buffer).AsTask());

    public static NetOperation<int> StartWrite(this Conn conn, bool blocking, ReadOnlyMemory<byte> buffer)
    {
        return blocking
            ? new(() =>
            {
                conn.Write(buffer.Span);
                return buffer.Length;
            })
            : new(Count(conn.WriteAsync(buffer), buffer.Length));

        static async Task<int> Count(ValueTask write, int count)
        {
            await write.ConfigureAwait(false);
            return count;
        }
    }

    public static NetOperation<bool> StartWaitToRead(this Conn conn, bool blocking) =>
        blocking ? new(conn.WaitToRead) : new(conn.WaitToReadAsync().AsTask());

    public static NetOperation<Conn> StartAccept(this ConnListener listener, bool blocking) =>
        blocking ? new(listener.Accept) : new(listener.AcceptAsync().AsTask());

    public static NetOperation<Conn> StartDial(this NetStack stack, bool blocking, string address) =>
        blocking ? new(() => stack.Dial("tcp", address)) : new(stack.DialAsync("tcp", address).AsTask());

    /// <summary>
    /// Runs code that calls in one of the forms: on a thread of its own, or on the pool and wherever its awaits lead.
    /// </summary>
    public static NetOperation<bool> Run(bool blocking, Func<Task> action)
    {
        return blocking
            ? new(() =>
            {
                action().GetAwaiter().GetResult();
                return true;
            })
            : new(Task.Run(Async));

        async Task<bool> Async()
        {
            await action().ConfigureAwait(false);
            return true;
        }
    }

    /// <summary>A read in one of the forms, for code that <see cref="Run"/> runs.</summary>
    public static ValueTask<int> ReadAsync(this Conn conn, bool blocking, Memory<byte> buffer) =>
        blocking ? new ValueTask<int>(conn.Read(buffer.Span)) : conn.ReadAsync(buffer);

    /// <summary>A write in one of the forms, for code that <see cref="Run"/> runs.</summary>
    public static ValueTask WriteAsync(this Conn conn, bool blocking, ReadOnlyMemory<byte> buffer)
    {
        if (!blocking) return conn.WriteAsync(buffer);
        conn.Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <summary>A read that fills the buffer, in one of the forms, for code that <see cref="Run"/> runs.</summary>
    public static ValueTask ReadExactlyAsync(this Conn conn, bool blocking, Memory<byte> buffer)
    {
        if (!blocking) return conn.ReadExactlyAsync(buffer);
        conn.ReadExactly(buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <summary>Sends back what comes until it ends, and ends too. Takes a close, a reset and a deadline for the end.</summary>
    public static async Task EchoAsync(this Conn conn, bool blocking)
    {
        byte[] buffer = new byte[16 * 1024];
        try
        {
            for (int n; (n = await conn.ReadAsync(blocking, buffer).ConfigureAwait(false)) > 0;)
            {
                await conn.WriteAsync(blocking, buffer.AsMemory(0, n)).ConfigureAwait(false);
            }
            conn.CloseWrite();
        }
        catch (Exception e) when (IsTheEnd(e)) { return; }
    }

    /// <summary>Reads until the end, and returns how much that was. Takes a close, a reset and a deadline for the end.</summary>
    public static async Task<long> DrainAsync(this Conn conn, bool blocking)
    {
        byte[] buffer = new byte[64 * 1024];
        long total = 0;
        try
        {
            for (int n; (n = await conn.ReadAsync(blocking, buffer).ConfigureAwait(false)) > 0;) total += n;
            return total;
        }
        catch (Exception e) when (IsTheEnd(e))
        {
            return total;
        }
    }

    /// <summary>Writes until that fails. Takes a close, a reset and a deadline for the end.</summary>
    public static async Task PourAsync(this Conn conn, bool blocking)
    {
        byte[] chunk = new byte[64 * 1024];
        try
        {
            while (true) await conn.WriteAsync(blocking, chunk).ConfigureAwait(false);
        }
        catch (Exception e) when (IsTheEnd(e)) { return; }
    }

    /// <summary>Two ends of one TCP connection over the loopback.</summary>
    /// <exception cref="TimeoutException">It was not made so soon.</exception>
    public static (TcpConn Client, TcpConn Server) Pair(this NetStack stack, TimeSpan patience)
    {
        using TcpConnListener listener = stack.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        NetOperation<Conn> accepting = listener.StartAccept(blocking: false);
        TcpConn client = new NetOperation<TcpConn>(stack.DialTcpAsync(listener.LocalEndPoint).AsTask()).Result(patience);
        try
        {
            return (client, (TcpConn)accepting.Result(patience));
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static bool IsTheEnd(Exception e) => e is ObjectDisposedException or NetOpException;
}
