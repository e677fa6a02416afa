using System.Buffers.Binary;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Event counters. One side adds numbers, some of them so large that the next must wait; the other takes the sums, in each form. Both are
/// interrupted. The sum of all must come out right, so nothing is lost or doubled.
/// </summary>
internal sealed class EventFds(Torture torture) : Workload(torture)
{
    private const int Adds = 100;

    protected override int Workers => 16;

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        activity.Awaits("its descriptor");
        Fd fd = await Torture.Descriptors.OpenAsync(Fd.EventFd);
        await using PolledFile file = new(Torture.Poller, fd.Release(), ownsHandle: true);
        Torture.Figures.Add(Figure.Files);
        Random taking = new(plan.Next());
        ulong added = 0, taken = 0;
        bool done = false;
        Task takes = TakeAsync();
        byte[] buffer = new byte[sizeof(ulong)];
        for (int i = 0; i < Adds; i++)
        {
            activity.Awaits($"the sums of {file}", i);
            ulong value = plan.Next(4) == 0 ? ulong.MaxValue - 1 : (ulong)plan.Next(1, 1000);
            BinaryPrimitives.WriteUInt64LittleEndian(buffer, value); // Linux's eventfd(2) has the machine's order: x64's and arm64's.
            while (!await InterruptAsync(PollMode.Write, plan, token => WriteAsync(buffer, token))) { }
            added = unchecked(added + value);
        }
        Volatile.Write(ref done, true);

        // The counter is empty exactly if all was taken. A deadline then ends the last take, which finds nothing.
        while (!takes.IsCompleted)
        {
            if (Volatile.Read(ref taken) == added) file.SetReadDeadline(TimeSpan.Zero);
            await Task.Delay(1);
        }
        await takes;

        async Task TakeAsync()
        {
            byte[] sum = new byte[sizeof(ulong)];
            while (!Volatile.Read(ref done) || taken != added)
            {
                if (!await InterruptAsync(PollMode.Read, taking, token => ReadAsync(sum, token))) continue;
                Volatile.Write(ref taken, unchecked(taken + BinaryPrimitives.ReadUInt64LittleEndian(sum)));
            }
        }

        async Task WriteAsync(byte[] bytes, CancellationToken token)
        {
            if (plan.Next(2) == 0) await file.WriteAsync(bytes, token);
            else await file.WriteAsync(bytes, static (fd, from) => Result(Fd.Write(fd, from), "write"), token);
        }

        async Task ReadAsync(byte[] bytes, CancellationToken token)
        {
            switch (taking.Next(3))
            {
                case 0:
                    await file.ReadAsync(bytes, token);
                    break;
                case 1:
                    await file.ReadAsync(bytes, static (fd, into) => Result(Fd.Read(fd, into), "read"), token);
                    break;
                default:
                    do await file.WaitReadableAsync(token);
                    while (!file.TryRead(bytes, static (fd, into) => Result(Fd.Read(fd, into), "read"), out _));
                    break;
            }
        }

        // False if the operation was interrupted. It has then done nothing, because a counter takes and gives eight bytes at once.
        async Task<bool> InterruptAsync(PollMode mode, Random random, Func<CancellationToken, Task> operation)
        {
            CancellationTokenSource source = new();
            bool isLimited = random.Next(16) == 0;
            if (isLimited) Limit(mode, TimeSpan.FromMicroseconds(random.Next(500)));
            else if (random.Next(16) == 0) Torture.Chaos.Soon(source.Cancel, random);
            try
            {
                await operation(source.Token);
                Torture.Figures.Add(Figure.Operations);
                return true;
            }
            catch (NetOpException e) when (e.IsTimeout && (isLimited || Volatile.Read(ref done)))
            {
                Torture.Figures.Add(Figure.Deadlines);
                return false;
            }
            catch (OperationCanceledException) when (source.IsCancellationRequested)
            {
                Torture.Figures.Add(Figure.Cancellations);
                return false;
            }
            finally
            {
                if (isLimited) Limit(mode, Timeout.InfiniteTimeSpan);
            }
        }

        void Limit(PollMode mode, TimeSpan time)
        {
            if (mode == PollMode.Read) file.SetReadDeadline(time);
            else file.SetWriteDeadline(time);
        }
    }

    private static TryResult<int> Result(int result, string call) =>
        result == -Errno.EAGAIN.Number ? TryResult.WouldBlock : Descriptors.Check(result, call);
}
