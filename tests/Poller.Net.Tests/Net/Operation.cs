using System.Net;

namespace Poller.Net.Tests;

/// <summary>An operation in its async form or, on a thread of its own, in its blocking form.</summary>
internal sealed class Operation<T>
{
    private readonly Thread? _thread;

    public Operation(Task<T> async) => Task = async;

    public Operation(Func<T> blocking)
    {
        TaskCompletionSource<T> source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task = source.Task;
        _thread = new Thread(() =>
        {
            try
            {
                source.SetResult(blocking());
            }
#pragma warning disable CA1031 // Handed to whoever awaits.
            catch (Exception e)
#pragma warning restore CA1031
            {
                source.TrySetException(e); // An interruption may come after the result.
            }
        })
        { IsBackground = true, Name = "blocking form" };
        _thread.Start();
    }

    public Task<T> Task { get; }

    /// <summary>Thread.Interrupt of the thread of the blocking form.</summary>
    public void Interrupt() => _thread!.Interrupt();

    /// <summary>
    /// Comes back once the operation waits or has ended, and says whether it waits: an async one does when its call has returned, a
    /// blocking one when its thread sleeps.
    /// </summary>
    public bool Waits()
    {
        bool settled = SpinWait.SpinUntil(
            () => Task.IsCompleted || _thread is null || (_thread.ThreadState & ThreadState.WaitSleepJoin) != 0,
            Fixture.Patience);
        Assert.True(settled, "an operation neither waited nor ended.");
        return !Task.IsCompleted;
    }

    /// <summary>Comes back once the operation waits.</summary>
    public Operation<T> Waiting()
    {
        if (Waits()) return this;
        object? end = Task.IsCompletedSuccessfully ? Task.Result : Task.Exception?.InnerException ?? (object)Task.Status;
        throw new InvalidOperationException($"an operation ended that was expected to wait: {end}");
    }

    public Task<T> Within() => Task.Within();
}

/// <summary>The operations in both forms.</summary>
internal static class Operation
{
    public static Operation<int> StartRead(this Conn conn, bool blocking, Memory<byte> buffer) =>
        blocking ? new(() => conn.Read(buffer.Span)) : new(conn.ReadAsync(buffer).AsTask());

    public static Operation<int> StartWrite(this Conn conn, bool blocking, ReadOnlyMemory<byte> buffer)
    {
        return blocking
            ? new(() =>
            {
                conn.Write(buffer.Span);
                return buffer.Length;
            })
            : new(WriteAsync(conn.WriteAsync(buffer), buffer.Length));

        static async Task<int> WriteAsync(ValueTask write, int count)
        {
            await write.ConfigureAwait(false);
            return count;
        }
    }

    public static Operation<bool> StartWaitToRead(this Conn conn, bool blocking) =>
        blocking ? new(conn.WaitToRead) : new(conn.WaitToReadAsync().AsTask());

    public static Operation<Conn> StartAccept(this ConnListener listener, bool blocking) =>
        blocking ? new(listener.Accept) : new(listener.AcceptAsync().AsTask());

    public static Operation<Conn> StartDial(this NetStack net, bool blocking, string network, string address) =>
        blocking ? new(() => net.Dial(network, address)) : new(net.DialAsync(network, address).AsTask());

    public static Operation<TcpConn> StartDial(this NetStack net, bool blocking, EndPoint remote) =>
        blocking ? new(() => net.DialTcp((IPEndPoint)remote)) : new(net.DialTcpAsync((IPEndPoint)remote).AsTask());

    /// <summary>Runs a test's own blocking code on a thread of its own.</summary>
    public static Task OnOwnThread(Action action) => new Operation<bool>(() => { action(); return true; }).Task;

    /// <summary>
    /// Runs code that reads and writes in one of the forms: on a thread of its own, or on the pool and wherever its awaits lead.
    /// </summary>
    public static Task Run(bool blocking, Func<Task> action) =>
        blocking ? OnOwnThread(() => action().GetAwaiter().GetResult()) : Task.Run(action);

    public static async Task<int> ReadAsync(this Conn conn, bool blocking, Memory<byte> buffer) =>
        await conn.StartRead(blocking, buffer).Within().ConfigureAwait(false);

    public static async Task WriteAsync(this Conn conn, bool blocking, ReadOnlyMemory<byte> buffer) =>
        await conn.StartWrite(blocking, buffer).Within().ConfigureAwait(false);

    public static async Task ReadExactlyAsync(this Conn conn, bool blocking, Memory<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int n = await conn.ReadAsync(blocking, buffer).ConfigureAwait(false);
            if (n == 0) throw new EndOfStreamException();
            buffer = buffer[n..];
        }
    }

    // A test that awaits one of these continues on the pool. On a loop's thread it would hold up the loop, and with inline dispatch it
    // could make no blocking call.

    public static async Task Within(this Task task)
    {
        try
        {
            await task.WaitAsync(Fixture.Patience).ConfigureAwait(false);
        }
        finally
        {
            await Task.Yield();
        }
    }

    public static async Task<T> Within<T>(this Task<T> task)
    {
        try
        {
            return await task.WaitAsync(Fixture.Patience).ConfigureAwait(false);
        }
        finally
        {
            await Task.Yield();
        }
    }

    public static Task Within(this ValueTask task) => task.AsTask().Within();

    public static Task<T> Within<T>(this ValueTask<T> task) => task.AsTask().Within();
}
