using System.Net;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Closes, cancellations and deadlines beside all operations of a connection, a file or a listener. Each operation must end, by one of its
/// documented outcomes.
/// </summary>
internal sealed class Closes(Torture torture) : Workload(torture)
{
    private const int Queued = 3; // Operations of each direction: one waits, and the others queue behind it.

    protected override int Workers => 24;

    protected override Task RoundAsync(Random plan, Activity activity) => plan.Next(4) switch
    {
        0 => CloseListenerAsync(plan, activity),
        1 => CloseConnAsync(plan, activity),
        _ => CloseFileAsync(plan, activity),
    };

    private async Task CloseConnAsync(Random plan, Activity activity)
    {
        activity.Awaits("a pair of connections");
        if (await PairAsync() is not var (near, far)) return;
        using (near)
        using (far)
        {
            LibC.Shrink(near, 4096);
            CancellationTokenSource source = new();
            byte[] large = new byte[200_000];
            List<Task> operations = [];
            for (int i = 0; i < Queued; i++)
            {
                operations.Add(near.ReadAsync(new byte[100], source.Token).AsTask());
                operations.Add(near.WriteAsync(large, source.Token).AsTask());
                operations.Add(near.WaitToReadAsync(source.Token).AsTask());
            }
            if (plan.Next(4) == 0)
            {
                operations.Add(Torture.Descriptors.OnOwnThreadAsync(() => near.ReadByte()));
                operations.Add(Torture.Descriptors.OnOwnThreadAsync(() => near.Write(large)));
            }
            await RaceAsync(plan, source, operations, activity, near.Dispose,
            [
                () => near.SetDeadline(TimeSpan.Zero),
                () => near.SetReadDeadline(TimeSpan.FromMilliseconds(1)),
                () => near.CloseWrite(),
                () => far.Dispose(),
                () => far.WriteByte(1),
                () => near.LingerState = new LingerOption(true, 0),
            ]);
        }
    }

    private async Task CloseFileAsync(Random plan, Activity activity)
    {
        activity.Awaits("a file");
        (Fd mine, Fd other) = await Torture.Descriptors.OpenAsync(Fd.SocketPair);
        using (other)
        {
            LibC.Shrink(mine, 4096);
            await using PolledFile file = new(Torture.Poller, mine.Release(), ownsHandle: true);
            Torture.Figures.Add(Figure.Files);
            CancellationTokenSource source = new();
            List<Task> operations = [];
            for (int i = 0; i < Queued; i++)
            {
                operations.Add(file.ReadAsync(new byte[100], source.Token).AsTask());
                operations.Add(file.WaitReadableAsync(source.Token).AsTask());
                operations.Add(file.WriteAsync(new byte[100_000], source.Token).AsTask());
                operations.Add(file.WaitWritableAsync(source.Token).AsTask());
                operations.Add(file.ReadAsync<int, int>(0, static (_, _) => TryResult.WouldBlock, source.Token).AsTask());
            }
            if (plan.Next(4) == 0) operations.Add(Torture.Descriptors.OnOwnThreadAsync(file.WaitReadable));
            bool detaches = plan.Next(4) == 0;
            await RaceAsync(plan, source, operations, activity, () =>
            {
                if (detaches) _ = DetachAsync();
                else file.Dispose();
            },
            [
                () => file.SetDeadline(TimeSpan.Zero),
                () => file.SetReadDeadline(TimeSpan.FromMilliseconds(1)),
                () => other.Write(10),
                () => other.Shutdown(),
            ]);

            async Task DetachAsync() => (await file.DetachAsync()).Dispose();
        }
    }

    private async Task CloseListenerAsync(Random plan, Activity activity)
    {
        activity.Awaits("a listener");
        if (Listen() is not { } listener) return;
        await using (listener)
        {
            CancellationTokenSource source = new();
            List<Task> operations = [];
            for (int i = 0; i < Queued; i++)
            {
                operations.Add(DropAsync(listener.AcceptTcpAsync(source.Token)));
                operations.Add(DropAsync(Torture.Net.DialTcpAsync(listener.LocalEndPoint, source.Token)));
            }
            if (plan.Next(4) == 0) operations.Add(Torture.Descriptors.OnOwnThreadAsync(() => listener.AcceptTcp().Dispose()));
            await RaceAsync(plan, source, operations, activity, listener.Dispose, [() => listener.SetDeadline(TimeSpan.Zero)]);
        }

        static async Task DropAsync(ValueTask<TcpConn> operation)
        {
            using TcpConn conn = await operation;
        }
    }

    // Runs a close, and some other actions, beside the operations, and awaits the end of each.
    private async Task RaceAsync(
        Random plan, CancellationTokenSource source, List<Task> operations, Activity activity, Action close, Action[] others)
    {
        List<Action> actions = [close];
        foreach (Action other in others)
        {
            if (plan.Next(3) == 0) actions.Add(other);
        }
        if (plan.Next(3) == 0) actions.Add(source.Cancel);
        Action[] shuffled = [.. actions];
        plan.Shuffle(shuffled);
        Task acting = Task.WhenAll(shuffled.Select(action => Torture.Chaos.SoonAsync(() => Try(action), plan)));
        Torture.Figures.Add(Figure.Closes);
        for (int i = 0; i < operations.Count; i++)
        {
            activity.Awaits("an operation beside a close", i);
            try
            {
                await operations[i];
                Torture.Figures.Add(Figure.Operations);
            }
            catch (Exception e) when (IsOutcome(e))
            {
                if (e is OperationCanceledException) Torture.Figures.Add(Figure.Cancellations);
                if (e is NetOpException { IsTimeout: true }) Torture.Figures.Add(Figure.Deadlines);
            }
        }
        activity.Awaits("the actions beside a close");
        await acting;
    }

    private static void Try(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (IsOutcome(e))
        {
        }
    }

    private static bool IsOutcome(Exception e) =>
        Ending.IsEnd(e) || e is OperationCanceledException or NetOpException { IsTimeout: true }
        || e is NetOpException { SocketErrorCode: SocketError.ConnectionRefused or SocketError.NotConnected }
        || IsShortage(e);

    private static bool IsShortage(Exception e) => e is NetOpException { SocketErrorCode: SocketError.TooManyOpenSockets };

    private TcpConnListener? Listen()
    {
        try
        {
            return Torture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        }
        catch (NetOpException e) when (IsShortage(e))
        {
            return null;
        }
    }

    private async Task<(TcpConn Near, TcpConn Far)?> PairAsync()
    {
        if (Listen() is not { } listener) return null;
        using (listener)
        {
            ValueTask<TcpConn> accepting = listener.AcceptTcpAsync();
            TcpConn near;
            try
            {
                near = await Torture.Net.DialTcpAsync(listener.LocalEndPoint);
            }
            catch (NetOpException e) when (IsShortage(e))
            {
                listener.Dispose();
                try
                {
                    await accepting;
                    throw new InvalidOperationException("an accept found a connection that nobody has dialed.");
                }
                catch (NetOpException closed) when (closed.IsClosed)
                {
                    return null;
                }
            }
            Torture.Figures.Add(Figure.Connections);
            return (near, await accepting);
        }
    }
}
