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
        Interruptions writes = new(Torture, PollMode.Write, Limit, plan);
        Interruptions reads = new(Torture, PollMode.Read, Limit, taking) { MayExpire = () => Volatile.Read(ref done) };
        Task takes = TakeAsync();
        byte[] buffer = new byte[sizeof(ulong)];
        for (int i = 0; i < Adds; i++)
        {
            activity.Awaits($"the sums of {file}", i);
            ulong value = plan.Next(4) == 0 ? ulong.MaxValue - 1 : (ulong)plan.Next(1, 1000);
            BinaryPrimitives.WriteUInt64LittleEndian(buffer, value); // Linux's eventfd(2) has the machine's order: x64's and arm64's.
            while (!await writes.RunAsync(token => WriteAsync(buffer, token))) { } // A counter takes eight bytes at once.
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
                if (!await reads.RunAsync(token => ReadAsync(sum, token))) continue;
                Volatile.Write(ref taken, unchecked(taken + BinaryPrimitives.ReadUInt64LittleEndian(sum)));
            }
        }

        async ValueTask WriteAsync(byte[] bytes, CancellationToken token)
        {
            if (plan.Next(2) == 0) await file.WriteAsync(bytes, token);
            else await file.WriteAsync(bytes, static (fd, from) => Result(Fd.Write(fd, from), "write"), token);
        }

        async ValueTask ReadAsync(byte[] bytes, CancellationToken token)
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

        void Limit(PollMode mode, TimeSpan time)
        {
            if (mode == PollMode.Read) file.SetReadDeadline(time);
            else file.SetWriteDeadline(time);
        }
    }

    private static TryResult<int> Result(int result, string call) =>
        result == -Errno.EAGAIN.Number ? TryResult.WouldBlock : Descriptors.Check(result, call);
}
