using System.Diagnostics;
using System.Net;
using Poller.Net;

namespace Poller.Conformance;

/// <summary>
/// A call in its async form or, on its own thread, in its blocking form. A thread that belongs to no loop waits for the result, and not for
/// ever.
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
#pragma warning disable CA1031 // Whoever asks for the result gets the exception.
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
    /// Returns true once the call waits, and false if it has ended. An async call waits when it has returned, a blocking one when its
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

    /// <summary>Returns once the call waits. Fails if it ends.</summary>
    public NetOperation<T> Waiting()
    {
        bool waits = HasBegun(Worker.Bound);
        Assert.True(waits, $"a call ended that was expected to wait: {(Task.IsCompletedSuccessfully ? Task.Result : Task.Exception)}");
        return this;
    }

    /// <summary>Returns the call's result, or throws its exception.</summary>
    /// <exception cref="TimeoutException">The call has not ended in a time in which any call that is not stuck would have.</exception>
    public T Result() => Result(Worker.Bound);

    /// <inheritdoc cref="Result()"/>
    public T Result(TimeSpan patience) => Task.WaitAsync(patience).GetAwaiter().GetResult();

    /// <summary>Returns the exception with which it failed.</summary>
    public NetOpException Fails() => Assert.Throws<NetOpException>(() => { Result(); });

    /// <summary>Checks that it meets a deadline.</summary>
    public void TimesOut()
    {
        NetOpException e = Fails();
        Assert.True(e.IsTimeout, e.Message);
        Assert.False(e.IsClosed, e.Message);
        Assert.IsType<TimeoutException>(e.InnerException);
    }

    /// <summary>Checks that a close on this side ends it.</summary>
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
    /// <summary>Checks that a wait to read finds bytes.</summary>
    public static void FindsBytes(this NetOperation<bool> waiting) =>
        Assert.True(waiting.Result(), "a wait to read told the end; bytes were expected");

    /// <summary>Checks that a wait to read finds the end.</summary>
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

    public static NetOperation<Conn> StartDial(this NetStack stack, bool blocking, string network, string address) =>
        blocking ? new(() => stack.Dial(network, address)) : new(stack.DialAsync(network, address).AsTask());

    public static NetOperation<int> StartReceiveFrom(this UdpConn conn, bool blocking, Memory<byte> buffer, SocketAddress sender) =>
        blocking ? new(() => conn.ReceiveFrom(buffer.Span, sender)) : new(conn.ReceiveFromAsync(buffer, sender).AsTask());

    public static NetOperation<ReceivedMessage> StartReceiveMessage(this UdpConn conn, bool blocking, Memory<byte> buffer) => blocking
        ? new(() => conn.ReceiveMessage(buffer.Span, default, null))
        : new(conn.ReceiveMessageAsync(buffer, default, null).AsTask());

    public static NetOperation<bool> StartSendTo(this UdpConn conn, bool blocking, ReadOnlyMemory<byte> buffer, SocketAddress address)
    {
        return Run(blocking, () =>
        {
            if (!blocking) return conn.SendToAsync(buffer, address).AsTask();
            conn.SendTo(buffer.Span, address);
            return Task.CompletedTask;
        });
    }

    /// <summary>
    /// Runs code that makes calls in one of the forms: blocking on its own thread, or async on the pool and wherever its awaits continue.
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

    /// <summary>Sends back what it reads until the end. A close, a reset or a deadline counts as the end.</summary>
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

    /// <summary>Reads until the end, and returns the number of bytes. A close, a reset or a deadline counts as the end.</summary>
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

    /// <summary>Writes until a write fails. A close, a reset or a deadline counts as the end.</summary>
    public static async Task PourAsync(this Conn conn, bool blocking)
    {
        byte[] chunk = new byte[64 * 1024];
        try
        {
            while (true) await conn.WriteAsync(blocking, chunk).ConfigureAwait(false);
        }
        catch (Exception e) when (IsTheEnd(e)) { return; }
    }

    /// <summary>A local address that is free: on the loopback, or a name that the system chooses.</summary>
    public static string AnyAddress(string network) => network.StartsWith("unix", StringComparison.Ordinal) ? "" : "127.0.0.1:0";

    /// <summary>The two ends of one connection.</summary>
    /// <exception cref="TimeoutException">The connection was not made in time.</exception>
    public static (Conn Client, Conn Server) Pair(this NetStack stack, string network, TimeSpan patience)
    {
        using ConnListener listener = stack.Listen(network, AnyAddress(network));
        NetOperation<Conn> accepting = listener.StartAccept(blocking: false);
        Conn client = stack.StartDial(blocking: false, network, listener.LocalEndPoint.ToString()!).Result(patience);
        try
        {
            return (client, accepting.Result(patience));
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static bool IsTheEnd(Exception e) => e is ObjectDisposedException or NetOpException;
}
