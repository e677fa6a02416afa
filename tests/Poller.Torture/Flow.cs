using System.Net.Sockets;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Torture;

/// <summary>How a flow makes its operations.</summary>
internal enum FlowStyle
{
    Async,

    /// <summary>Blocking, on a thread of its own.</summary>
    Blocking,

    /// <summary>Async, and now and then it sleeps or makes a blocking call where its continuation runs.</summary>
    Mixed,
}

/// <summary>How the streams of a round end. Safe from any thread.</summary>
internal sealed class Ending
{
    // What a terminal says whose other end is closed. Linux's number.
    public static readonly Errno Eio = new(5);

    private bool _isAbortive;

    /// <summary>Whether somebody has begun to close or to reset while operations are under way. Set it before.</summary>
    public bool IsAbortive { get => Volatile.Read(ref _isAbortive); set => Volatile.Write(ref _isAbortive, value); }

    /// <summary>Whether an operation may end with this exception.</summary>
    public bool Allows(Exception e) => IsAbortive && IsEnd(e);

    /// <summary>Whether an exception says that this end or the other was closed or reset.</summary>
    public static bool IsEnd(Exception e) => e switch
    {
        ObjectDisposedException => true,
        NetOpException { IsClosed: true } => true,
        NetOpException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown } => true,
        NetOpException { SocketErrorCode: SocketError.ConnectionRefused } => true, // The receiver of a datagram is gone.
        NetOpException { InnerException: NetpollException inner } => IsEnd(inner),
        NetpollException inner => inner.Error == Errno.EPIPE || inner.Error == Errno.ECONNRESET || inner.Error == Eio,
        _ => false,
    };

    /// <summary>Whether an exception says that nobody has the other end of a terminal.</summary>
    public static bool IsHangUp(Exception e) => (e as NetpollException ?? e.InnerException as NetpollException)?.Error == Eio;
}

/// <summary>
/// One direction of a stream: it sends or receives the bytes of a pattern, interrupts some of its operations by deadlines, time-outs and
/// cancellations, and goes on after them.
/// </summary>
internal sealed class Flow(Torture torture, string name, int seed, long total, FlowStyle style, Ending ending, Random plan)
{
    private const int MaxChunk = 64 * 1024;

    // Per cent of the operations of this flow.
    private readonly int _interruptions = plan.Next(4) == 0 ? 30 : plan.Next(3);
    private readonly int _pauses = plan.Next(4) == 0 ? 5 : 0;
    // A stream of many bytes has no tiny chunks: it would take too long.
    private readonly int _maxChunk = Math.Max(1 << plan.Next(6, 17), (int)(total / 256));

    private readonly byte[] _buffer = new byte[MaxChunk];
    private Activity _activity = null!;

    private enum Interruption
    {
        None,
        Deadline,
        LateDeadline,
        Timeout,
        Cancellation,
    }

    /// <summary>Sends all bytes. False if the stream was closed or reset before.</summary>
    public Task<bool> SendAsync(IChannel to) => RunAsync("send", async () =>
    {
        _activity.Uses(to.Describe);
        Pattern pattern = new(seed);
        for (long position = 0; position < total;)
        {
            int count = (int)Math.Min(total - position, plan.Next(1, _maxChunk + 1));
            pattern.Fill(position, _buffer.AsSpan(0, count));
            _activity.Awaits($"a write of {count} bytes", position);
            int? written = await InterruptAsync(to, PollMode.Write, _buffer.AsMemory(0, count));
            position += written ?? 0;
            if (written is null && !to.WritesExactly)
            {
                _activity.Awaits("a write of a mark", position);
                await WriteAllAsync(to, Pattern.Mark(position, count));
            }
            await PauseAsync();
        }
    });

    /// <summary>
    /// Receives until the end, or until all bytes have come if <paramref name="stopsAtTotal"/>. False if the stream was closed or reset
    /// before.
    /// </summary>
    public Task<bool> ReceiveAsync(IChannel from, bool stopsAtTotal = false) => RunAsync("receive", async () =>
    {
        _activity.Uses(from.Describe);
        PatternReader reader = new(seed);
        while (!stopsAtTotal || reader.Position < total)
        {
            int count = plan.Next(1, _maxChunk + 1);
            _activity.Awaits($"a read of {count} bytes", reader.Position);
            int? read = await InterruptAsync(from, PollMode.Read, _buffer.AsMemory(0, count));
            if (read == 0) break;
            if (read is { } some)
            {
                torture.Figures.Add(Figure.Bytes, some);
                if (reader.Check(_buffer.AsSpan(0, some)) is { } wrong) throw new InvalidDataException(wrong);
            }
            await PauseAsync();
        }

        // After an abort the stream may end anywhere; what came was checked.
        if (!ending.IsAbortive && reader.CheckEnd(total) is { } early) throw new InvalidDataException(early);
        torture.Figures.Add(Figure.Streams);
    });

    private Task<bool> RunAsync(string direction, Func<Task> action)
    {
        string part = $"{style} {direction} of {total} bytes";
        return new Parts(torture, name, ending).RunAsync(part, style == FlowStyle.Blocking, async activity =>
        {
            _activity = activity;
            if (style == FlowStyle.Mixed) await Task.Yield(); // It must not block whoever begins the other flows.
            await action();
        });
    }

    // One operation, which may be interrupted; null if it was.
    private async ValueTask<int?> InterruptAsync(IChannel channel, PollMode mode, Memory<byte> buffer)
    {
        bool blocks = style == FlowStyle.Blocking || (style == FlowStyle.Mixed && plan.Next(8) == 0);
        Interruption interruption = plan.Next(100) < _interruptions ? (Interruption)plan.Next(1, 5) : Interruption.None;
        CancellationToken token = default;
        switch (interruption)
        {
            case Interruption.Deadline:
                channel.SetDeadline(mode, TimeSpan.FromMicroseconds(plan.Next(3) == 0 ? 0 : plan.Next(2000)));
                break;
            case Interruption.LateDeadline when mode == PollMode.Read:
                torture.Chaos.Soon(() => ExpireRead(channel), plan);
                break;
            case Interruption.Timeout:
                channel.SetTimeout(mode, plan.Next(1, 4));
                break;
            case Interruption.Cancellation when !blocks:
                CancellationTokenSource source = new();
                token = source.Token;
                torture.Chaos.Soon(source.Cancel, plan);
                break;
        }
        try
        {
            int count = mode == PollMode.Read
                ? blocks ? channel.Read(buffer) : await channel.ReadAsync(buffer, token)
                : blocks ? channel.Write(buffer) : await channel.WriteAsync(buffer, token);
            torture.Figures.Add(Figure.Operations);
            return count;
        }
        catch (NetOpException e) when (e.IsTimeout && (interruption != Interruption.None || mode == PollMode.Read))
        {
            torture.Figures.Add(Figure.Deadlines);
            if (interruption is Interruption.None or Interruption.Cancellation) channel.SetDeadline(mode, Timeout.InfiniteTimeSpan);
            return null;
        }
        catch (OperationCanceledException e) when (e.CancellationToken == token && token.IsCancellationRequested)
        {
            torture.Figures.Add(Figure.Cancellations);
            return null;
        }
        finally
        {
            bool hadDeadline = interruption is Interruption.Deadline or Interruption.LateDeadline;
            if (hadDeadline) Calm(() => channel.SetDeadline(mode, Timeout.InfiniteTimeSpan));
            if (interruption == Interruption.Timeout) Calm(() => channel.SetTimeout(mode, Timeout.Infinite));
        }
    }

    private async ValueTask WriteAllAsync(IChannel to, ReadOnlyMemory<byte> buffer)
    {
        if (style == FlowStyle.Blocking) to.Write(buffer);
        else await to.WriteAsync(buffer, default);
    }

    private async ValueTask PauseAsync()
    {
        if (style == FlowStyle.Mixed && plan.Next(64) == 0) Thread.Sleep(plan.Next(1, 20));
        if (plan.Next(100) >= _pauses) return;
        if (style == FlowStyle.Blocking) Thread.Sleep(plan.Next(1, 4));
        else await Task.Delay(plan.Next(1, 4));
    }

    // It may come after the operation that it was meant for, and after the channel is closed.
    private static void ExpireRead(IChannel channel)
    {
        try
        {
            channel.SetDeadline(PollMode.Read, TimeSpan.Zero);
        }
        catch (ObjectDisposedException)
        {
        }
    }

    private void Calm(Action action)
    {
        try
        {
            action();
        }
        catch (ObjectDisposedException) when (ending.IsAbortive)
        {
            // The operation itself said so, or the next one will.
        }
    }
}
