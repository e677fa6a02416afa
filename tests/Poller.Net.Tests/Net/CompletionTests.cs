using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

public enum OperationKind { Read, Write, Accept }

/// <summary>Where an operation is when it ends.</summary>
public enum OperationPlace { Queued, Parked, AboutToBeAwaited }

/// <summary>What ends an operation.</summary>
public enum OperationEnd { Result, Close, Deadline, Cancel, PollerDisposed }

/// <summary>
/// Where a continuation runs: never on the stack of whoever ended its operation, and outside of thread-pool dispatch on a thread of
/// the loop.
/// </summary>
[Collection(nameof(Alone))]
public abstract class CompletionTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    public static TheoryData<NetpollDispatch, OperationKind, OperationPlace, OperationEnd> Table
    {
        get
        {
            TheoryData<NetpollDispatch, OperationKind, OperationPlace, OperationEnd> rows = [];
            foreach (NetpollDispatch dispatch in Enum.GetValues<NetpollDispatch>())
            {
                foreach (OperationKind kind in Enum.GetValues<OperationKind>())
                {
                    foreach (OperationPlace place in Enum.GetValues<OperationPlace>())
                    {
                        foreach (OperationEnd end in Enum.GetValues<OperationEnd>()) rows.Add(dispatch, kind, place, end);
                    }
                }
            }
            return rows;
        }
    }

    [Theory, MemberData(nameof(Table))]
    public async Task A_continuation_runs_on_nobodys_stack_and_may_wait_for_who_ended_it(
        NetpollDispatch dispatch, OperationKind kind, OperationPlace place, OperationEnd end)
    {
        using Fixture fixture = new(dispatch);
        using Subject subject = await Subject.CreateAsync(fixture, kind);
        using CancellationTokenSource cancel = new();
        Pending? first = place == OperationPlace.Queued ? subject.Start(CancellationToken.None) : null;
        Pending pending = subject.Start(cancel.Token);
        Assert.False(pending.IsCompleted());

        int ender = 0, attacher = Environment.CurrentManagedThreadId, runner = 0;
        bool onLoop = false;
        using ManualResetEventSlim ended = new(), ran = new();
        void Continue()
        {
            (runner, onLoop) = (Environment.CurrentManagedThreadId, LoopThreads.LoopOfThisThread is not null);
            if (ended.Wait(Fixture.Patience)) ran.Set();
        }
        if (place != OperationPlace.AboutToBeAwaited) pending.OnCompleted(Continue);

        // The thread that ends the operation and the one that attaches do nothing else. So the number of a thread says whose stack it is.
        Worker ending = Worker.Start(() =>
        {
            ender = Environment.CurrentManagedThreadId;
            if (end == OperationEnd.Cancel) cancel.Cancel();
            else if (end == OperationEnd.PollerDisposed) fixture.Poller.Dispose();
            else subject.End(end, operations: place == OperationPlace.Queued ? 2 : 1);
            ended.Set();
            ran.Wait(Fixture.Patience);
        });
        if (place == OperationPlace.AboutToBeAwaited)
        {
            Assert.True(SpinWait.SpinUntil(pending.IsCompleted, Fixture.Patience), "the operation did not end.");
            pending.OnCompleted(Continue);
            Assert.NotEqual(attacher, Volatile.Read(ref runner));
        }
        Assert.True(ran.Wait(Fixture.Patience), "the continuation did not run, or waited in vain for who ended its operation.");
        ending.Join();
        Assert.NotEqual(ender, runner);
        if (dispatch != NetpollDispatch.ThreadPool && end != OperationEnd.PollerDisposed)
        {
            Assert.True(onLoop, "it ran on another thread than the loop's.");
        }

        Exception? error = Record.Exception(pending.GetResult);
        switch (end)
        {
            case OperationEnd.Result: Assert.Null(error); break;
            case OperationEnd.Deadline: Assert.True(Assert.IsType<NetOpException>(error).IsTimeout); break;
            case OperationEnd.Cancel: Assert.Equal(cancel.Token, Assert.IsType<OperationCanceledException>(error).CancellationToken); break;
            default: Assert.True(Assert.IsType<NetOpException>(error).IsClosed); break;
        }
        GC.KeepAlive(first);
    }

    [Fact]
    public async Task Writes_that_nobody_awaits_raise_nothing_when_their_connection_is_closed()
    {
        GC.Collect(); // What earlier tests dropped is not counted.
        GC.WaitForPendingFinalizers();
        int raised = 0;
        void Raise(object? sender, UnobservedTaskExceptionEventArgs e)
        {
            if (e.Exception.InnerException is NetOpException) Interlocked.Increment(ref raised);
            e.SetObserved();
        }
        TaskScheduler.UnobservedTaskException += Raise;
        try
        {
            using Fixture fixture = new();
            (TcpConn _, TcpConn server) = await fixture.PairAsync();
            WriteAndClose(server);
            for (int i = 0; i < 5; i++)
            {
                await Fixture.PassAsync(await fixture.PairAsync()); // By now the waiters that the close sent off have run.
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
            Assert.Equal(0, raised);
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= Raise;
        }

        static void WriteAndClose(TcpConn conn)
        {
            for (int i = 0; i < 10; i++) _ = conn.WriteAsync(new byte[16 << 20]);
            conn.Dispose();
        }
    }

    [Fact]
    public async Task The_captured_contexts_are_honoured_also_of_an_awaiter_that_comes_late()
    {
        using Fixture fixture = new();
        using Subject subject = await Subject.CreateAsync(fixture, OperationKind.Read);
        AsyncLocal<int> local = new();
        foreach (bool late in (bool[])[false, true])
        {
            PostingContext context = new();
            ValueTask<int> read = subject.Server!.ReadAsync(new byte[1]);
            if (late)
            {
                subject.End(OperationEnd.Result, 1);
                Assert.True(SpinWait.SpinUntil(() => read.IsCompleted, Fixture.Patience));
            }
            int seen = 0;
            using ManualResetEventSlim ran = new();
            Worker attaching = Worker.Start(() =>
            {
                SynchronizationContext.SetSynchronizationContext(context);
                local.Value = 42;
                read.GetAwaiter().OnCompleted(() =>
                {
                    seen = local.Value;
                    ran.Set();
                });
            });
            attaching.Join();
            if (!late) subject.End(OperationEnd.Result, 1);
            Assert.True(ran.Wait(Fixture.Patience));
            Assert.Equal((42, 1), (seen, context.Posts));
            Assert.Equal(1, await read);
        }
    }

    private sealed class PostingContext : SynchronizationContext
    {
        private int _posts;

        public int Posts => Volatile.Read(ref _posts);

        public override void Post(SendOrPostCallback d, object? state)
        {
            Interlocked.Increment(ref _posts);
            base.Post(d, state);
        }
    }

    /// <summary>A ValueTask of any kind, not awaited yet.</summary>
    private sealed record Pending(Func<bool> IsCompleted, Action<Action> OnCompleted, Action GetResult)
    {
        public static Pending Of<T>(ValueTask<T> task, Action<T> dispose)
        {
            System.Runtime.CompilerServices.ConfiguredValueTaskAwaitable<T>.ConfiguredValueTaskAwaiter awaiter =
                task.ConfigureAwait(false).GetAwaiter();
            return new(() => awaiter.IsCompleted, action => awaiter.UnsafeOnCompleted(action), () => dispose(awaiter.GetResult()));
        }

        public static Pending Of(ValueTask task)
        {
            System.Runtime.CompilerServices.ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter awaiter =
                task.ConfigureAwait(false).GetAwaiter();
            return new(() => awaiter.IsCompleted, action => awaiter.UnsafeOnCompleted(action), awaiter.GetResult);
        }
    }

    /// <summary>Starts operations of one kind, which wait, and ends them from outside.</summary>
    private sealed class Subject : IDisposable
    {
        private const int Big = 16 << 20; // More than the socket's buffers hold.
        private readonly List<Socket> _clients = [];
        private OperationKind _kind;
        private TcpConnListener _listener = null!;
        private int _writes;

        public Conn? Server { get; private set; }

        public static async Task<Subject> CreateAsync(Fixture fixture, OperationKind kind)
        {
            Subject subject = new() { _kind = kind, _listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort) };
            if (kind == OperationKind.Accept) return subject;
            subject._clients.Add(await Raw.ConnectAsync(subject._listener.LocalEndPoint));
            subject.Server = await subject._listener.AcceptAsync().Within();
            return subject;
        }

        public Pending Start(CancellationToken token) => _kind switch
        {
            OperationKind.Read => Pending.Of(Server!.ReadAsync(new byte[1], token), static _ => { }),
            OperationKind.Write => Pending.Of(Server!.WriteAsync(new byte[_writes++ == 0 ? Big : 1], token)),
            _ => Pending.Of(_listener.AcceptAsync(token), static conn => conn.Dispose()),
        };

        public void End(OperationEnd end, int operations)
        {
            switch (end)
            {
                case OperationEnd.Close when _kind == OperationKind.Accept: _listener.Dispose(); break;
                case OperationEnd.Close: Server!.Dispose(); break;
                case OperationEnd.Deadline when _kind == OperationKind.Accept: _listener.SetDeadline(DateTimeOffset.UnixEpoch); break;
                case OperationEnd.Deadline: Server!.SetDeadline(DateTimeOffset.UnixEpoch); break;
                case OperationEnd.Result when _kind == OperationKind.Read: _clients[0].Send(new byte[operations]); break;
                case OperationEnd.Result when _kind == OperationKind.Write:
                    byte[] buffer = new byte[1 << 20];
                    for (int left = Big + operations - 1; left > 0; left -= _clients[0].Receive(buffer)) { }
                    break;
                case OperationEnd.Result:
                    for (int i = 0; i < operations; i++)
                    {
                        Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                        _clients.Add(client);
                        client.Connect((IPEndPoint)_listener.LocalEndPoint);
                    }
                    break;
                default: throw new ArgumentOutOfRangeException(nameof(end), end, "an end of the subject's own was expected.");
            }
        }

        public void Dispose()
        {
            Server?.Dispose();
            _listener.Dispose();
            foreach (Socket client in _clients) client.Dispose();
        }
    }
}
