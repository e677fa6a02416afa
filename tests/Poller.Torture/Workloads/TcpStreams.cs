using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// TCP connections, each with a stream in both directions. They end by half closes, or one side resets or closes in mid-stream. Accepts
/// and dials are interrupted too, and no connection may be lost for it. Some go through a hop, which copies from connection to connection.
/// </summary>
internal sealed class TcpStreams(Torture torture) : Workload(torture)
{
    private enum End
    {
        Orderly,
        Reset,
        Close,
    }

    /// <summary>What both sides of a connection know of it.</summary>
    private sealed class Session(long id, Random plan)
    {
        // A window that was full opens again by a timer of the kernel's, 0.1 s later. So this bounds how long a stream of many bytes takes.
        private const int MaxWindows = 32;

        public long Id => id;

        public Ending Ending { get; } = new();

        public End End { get; } = plan.Next(10) switch { < 7 => End.Orderly, < 9 => End.Reset, _ => End.Close };

        public bool ClientEnds { get; } = plan.Next(2) == 0;

        public int Seed { get; } = plan.Next();

        public long Up { get; } = Size(plan);

        public long Down { get; } = Size(plan);

        private readonly int _buffers = plan.Next(3) == 0 ? 0 : 1 << plan.Next(14, 18);

        /// <summary>The size of the sockets' buffers; 0 for the system's.</summary>
        public int Buffers => _buffers == 0 ? 0 : Math.Max(_buffers, (int)(Math.Max(Up, Down) / MaxWindows));

        public Random ClientPlan { get; } = new(plan.Next());

        public Random ServerPlan { get; } = new(plan.Next());

        public TaskCompletionSource Served { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Accepted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        private static long Size(Random plan) => plan.Next(20) switch
        {
            0 => 0,
            < 8 => plan.Next(1, 200),
            < 19 => plan.Next(1, 200_000),
            _ => plan.Next(1, 4_000_000),
        };
    }

    private const int Listeners = 3;
    private const int OneHopIn = 8;

    private readonly ConcurrentDictionary<long, Session> _sessions = new();
    private readonly List<TcpConnListener> _listeners = [];
    private readonly List<Task> _acceptors = [];
    private SentFile _file = null!;
    private TcpConnListener _hop = null!;
    private long _ids;
    private long _handlers;
    private long _headless;

    protected override int Workers => 120;

    public override void CheckFigures()
    {
        if (_headless > Torture.Figures[Figure.AbandonedDials])
        {
            long abandoned = Torture.Figures[Figure.AbandonedDials];
            Torture.Fail($"{_headless} connections came without a header, and {abandoned} dials were abandoned");
        }
    }

    protected override Task BeginAsync()
    {
        for (int i = 0; i < Listeners; i++) _listeners.Add(Torture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0)));
        _file = SentFile.Open();
        _hop = Torture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        _acceptors.Add(Task.Run(AcceptHopsAsync));
        _acceptors.Add(Task.Run(() => AcceptAsync(_listeners[0], 0)));
        _acceptors.Add(Task.Run(() => AcceptAsync(_listeners[0], 1))); // They queue.
        _acceptors.Add(Task.Run(() => AcceptByDeadlinesAsync(_listeners[1])));
        _acceptors.Add(Torture.Descriptors.OnOwnThreadAsync(() => AcceptBlocking(_listeners[2])));
        return Task.CompletedTask;
    }

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        Session session = new(Interlocked.Increment(ref _ids), plan);
        _sessions[session.Id] = session;
        TcpConn? conn = await DialAsync(plan, activity);
        if (conn is null)
        {
            _sessions.TryRemove(session.Id, out _);
            return;
        }
        using (conn)
        {
            Torture.Figures.Add(Figure.Connections);
            byte[] header = new byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(header, session.Id);
            await conn.WriteAsync(header);
            activity.Awaits("its accept");
            await session.Accepted.Task;
            activity.AwaitsOthers("the client's flows");
            await RunAsync(session, conn, isClient: true, session.ClientPlan);
        }
        activity.AwaitsOthers("the server");
        await session.Served.Task;
        _sessions.TryRemove(session.Id, out _);
    }

    protected override async Task EndAsync()
    {
        await _hop.DisposeAsync();
        foreach (TcpConnListener listener in _listeners) await listener.DisposeAsync();
        await Task.WhenAll(_acceptors);
        while (Volatile.Read(ref _handlers) > 0) await Task.Delay(10);
        _file.Dispose();
    }

    // Null if the dial was abandoned, by the plan, or refused in a shortage.
    private async Task<TcpConn?> DialAsync(Random plan, Activity activity)
    {
        IPEndPoint remote = (plan.Next(OneHopIn) == 0 ? _hop : _listeners[plan.Next(Listeners)]).LocalEndPoint;
        activity.Awaits($"a dial of {remote}");
        try
        {
            switch (plan.Next(16))
            {
                case 0:
                    CancellationTokenSource source = new();
                    Torture.Chaos.Soon(source.Cancel, plan);
                    return await Torture.Net.DialTcpAsync(remote, source.Token);
                case 1:
                    Dialer hasty = new(Torture.Net) { Timeout = TimeSpan.FromMicroseconds(plan.Next(1, 500)) };
                    return await hasty.DialTcpAsync(remote);
                case 2:
                    TcpConn? conn = null;
                    await Torture.Descriptors.OnOwnThreadAsync(() => conn = Torture.Net.DialTcp(remote));
                    return conn;
                default:
                    return await Torture.Net.DialTcpAsync(remote);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or NetOpException { IsTimeout: true })
        {
            Torture.Figures.Add(Figure.AbandonedDials);
            return null;
        }
        catch (NetOpException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
        {
            Torture.Figures.Add(Figure.RefusedDials);
            await Torture.DelayAsync(TimeSpan.FromMilliseconds(20));
            return null;
        }
    }

    private async Task RunAsync(Session session, TcpConn conn, bool isClient, Random plan)
    {
        if (session.Buffers > 0) LibC.Shrink(conn, session.Buffers);

        // The time is longer than the peer takes to read the rest, also on a machine that gives it hardly any processor.
        if (plan.Next(10) == 0) conn.LingerState = new LingerOption(true, 3600);
        FlowStyle StyleOf() => plan.Next(16) switch
        {
            0 => FlowStyle.Blocking,
            < 4 when Torture.MayBlockInPlace => FlowStyle.Mixed,
            _ => FlowStyle.Async,
        };
        string name = $"{Name} session {session.Id} {(isClient ? "client" : "server")} {session.End}";
        (long outgoing, long incoming) = isClient ? (session.Up, session.Down) : (session.Down, session.Up);
        int upSeed = session.Seed, downSeed = ~session.Seed;
        (int outSeed, int inSeed) = isClient ? (upSeed, downSeed) : (downSeed, upSeed);
        Flow sender = new(Torture, name, outSeed, outgoing, StyleOf(), session.Ending, new Random(plan.Next()));
        Flow receiver = new(Torture, name, inSeed, incoming, StyleOf(), session.Ending, new Random(plan.Next()));
        ConnChannel channel = new(conn, new Random(plan.Next()), _file);
        ConnChannel from = new(conn, new Random(plan.Next()));

        Task aborting = session.End != End.Orderly && isClient == session.ClientEnds ? AbortAsync(session, conn, plan) : Task.CompletedTask;
        Task sending = SendAsync();
        await receiver.ReceiveAsync(from);
        await sending;
        await aborting;

        async Task SendAsync()
        {
            if (!await sender.SendAsync(channel)) return;
            try
            {
                conn.CloseWrite();
                Torture.Figures.Add(Figure.HalfCloses);
            }
            catch (Exception e) when (session.Ending.IsAbortive && e is NetOpException or ObjectDisposedException)
            {
                // Shutdown of a socket that is reset fails with ENOTCONN.
            }
        }
    }

    private async Task AbortAsync(Session session, TcpConn conn, Random plan)
    {
        if (plan.Next(2) == 0) await Task.Delay(plan.Next(1, 10));
        await Torture.Chaos.SoonAsync(() =>
        {
            session.Ending.IsAbortive = true;
            if (session.End == End.Reset) conn.LingerState = new LingerOption(true, 0);
            Torture.Figures.Add(session.End == End.Reset ? Figure.Resets : Figure.Closes);
            conn.Dispose();
        }, plan);
    }

    private async Task ServeAsync(TcpConn conn)
    {
        Interlocked.Increment(ref _handlers);
        Activity activity = Torture.Activities.Begin($"{Name} handler of {conn.RemoteEndPoint}");
        try
        {
            using (conn)
            {
                activity.Awaits("the header");
                if (await ReadHeaderAsync(conn) is not { } session)
                {
                    Interlocked.Increment(ref _headless);
                    return;
                }
                session.Accepted.SetResult();
                activity.AwaitsOthers("the server's flows");
                await RunAsync(session, conn, isClient: false, session.ServerPlan);
                session.Served.SetResult();
            }
        }
#pragma warning disable CA1031 // Whatever goes wrong is the run's failure.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Torture.Fail($"{activity}: {e}");
        }
        finally
        {
            Torture.Activities.End(activity);
            Interlocked.Decrement(ref _handlers);
        }
    }

    private async Task AcceptHopsAsync()
    {
        int index = 0;
        await foreach (Conn conn in _hop.AcceptAllAsync()) _ = HopAsync((TcpConn)conn, Torture.RandomOf(nameof(HopAsync), index++));
    }

    // Passes a connection on to a listener. An end of one side becomes an end of the other, and so does a reset.
    private async Task HopAsync(TcpConn near, Random plan)
    {
        Interlocked.Increment(ref _handlers);
        try
        {
            using (near)
            using (TcpConn far = await DialOnAsync(_listeners[plan.Next(Listeners)].LocalEndPoint))
            {
                await Task.WhenAll(PassAsync(near, far, new Random(plan.Next())), PassAsync(far, near, new Random(plan.Next())));
            }
        }
#pragma warning disable CA1031 // Whatever goes wrong is the run's failure.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Torture.Fail($"{Name} hop: {e}");
        }
        finally
        {
            Interlocked.Decrement(ref _handlers);
        }
    }

    private async Task<TcpConn> DialOnAsync(IPEndPoint remote)
    {
        while (true)
        {
            try
            {
                return await Torture.Net.DialTcpAsync(remote);
            }
            catch (NetOpException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
            {
                await Task.Delay(20);
            }
        }
    }

    private async Task PassAsync(TcpConn from, TcpConn to, Random plan)
    {
        try
        {
            for (int interruptions = plan.Next(8); ; interruptions--)
            {
                using CancellationTokenSource source = new();
                if (interruptions > 0) source.CancelAfter(plan.Next(1, 20));
                try
                {
                    await from.CopyToAsync(to, source.Token);
                    break;
                }
                catch (OperationCanceledException e) when (e.CancellationToken == source.Token)
                {
                    Torture.Figures.Add(Figure.Cancellations);
                    await to.WriteAsync(Conn.UnwrittenBytes(e));
                }
            }
            to.CloseWrite();
            Torture.Figures.Add(Figure.Copies);
        }
        catch (Exception e) when (Ending.IsEnd(e) || e is NetOpException { SocketErrorCode: SocketError.NotConnected })
        {
            // Whoever has not asked for this end sees it, and fails the run.
            foreach (TcpConn conn in (TcpConn[])[from, to])
            {
                try
                {
                    conn.LingerState = new LingerOption(true, 0);
                }
                catch (ObjectDisposedException)
                {
                    // The other copy has come here before.
                }
                conn.Dispose();
            }
        }
    }

    // Null for the end, or a reset, of a connection whose dial was abandoned.
    private async Task<Session?> ReadHeaderAsync(TcpConn conn)
    {
        byte[] header = new byte[sizeof(long)];
        try
        {
            for (int read = 0; read < header.Length;)
            {
                int count = await conn.ReadAsync(header.AsMemory(read));
                if (count == 0 && read == 0) return null;
                if (count == 0) throw new InvalidDataException($"a header ended after {read} bytes");
                read += count;
            }
        }
        catch (NetOpException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return null;
        }
        return _sessions[BinaryPrimitives.ReadInt64LittleEndian(header)];
    }

    private async Task AcceptAsync(TcpConnListener listener, int index)
    {
        Random plan = Torture.RandomOf(nameof(AcceptAsync), index);
        while (true)
        {
            try
            {
                CancellationTokenSource source = new();
                if (plan.Next(2) == 0) Torture.Chaos.Soon(source.Cancel, plan);
                _ = ServeAsync(await listener.AcceptTcpAsync(source.Token));
            }
            catch (OperationCanceledException)
            {
                Torture.Figures.Add(Figure.Cancellations);
            }
            catch (Exception e) when (IsDisposed(e))
            {
                return;
            }
        }
    }

    private async Task AcceptByDeadlinesAsync(TcpConnListener listener)
    {
        Random plan = Torture.RandomOf(nameof(AcceptByDeadlinesAsync), 0);
        while (true)
        {
            try
            {
                listener.SetDeadline(plan.Next(4) == 0 ? TimeSpan.FromMicroseconds(plan.Next(5000)) : Timeout.InfiniteTimeSpan);
                _ = ServeAsync(await listener.AcceptTcpAsync());
            }
            catch (NetOpException e) when (e.IsTimeout)
            {
                Torture.Figures.Add(Figure.Deadlines);
            }
            catch (Exception e) when (IsDisposed(e))
            {
                return;
            }
        }
    }

    private void AcceptBlocking(TcpConnListener listener)
    {
        Random plan = Torture.RandomOf(nameof(AcceptBlocking), 0);
        while (true)
        {
            try
            {
                listener.SetDeadline(plan.Next(4) == 0 ? TimeSpan.FromMicroseconds(plan.Next(5000)) : Timeout.InfiniteTimeSpan);
                _ = ServeAsync(listener.AcceptTcp());
            }
            catch (NetOpException e) when (e.IsTimeout)
            {
                Torture.Figures.Add(Figure.Deadlines);
            }
            catch (Exception e) when (IsDisposed(e))
            {
                return;
            }
        }
    }

    private bool IsDisposed(Exception e) => Torture.IsOver && e is NetOpException { IsClosed: true } or ObjectDisposedException;
}
