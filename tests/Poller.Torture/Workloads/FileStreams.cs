using Microsoft.Win32.SafeHandles;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Streams through pipes, pairs of sockets and terminals, in each form of a <see cref="PolledFile"/>. Their descriptors come and go, so
/// their numbers are used again and again. Some files are detached and opened again in mid-stream, and some are closed in mid-stream.
/// </summary>
internal sealed class FileStreams(Torture torture) : Workload(torture)
{
    private enum Kind
    {
        Pipe,
        SocketPair,
        Terminal,
    }

    protected override int Workers => 60;

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        activity.Awaits("its descriptors");
        Kind kind = (Kind)plan.Next(3);
        bool blocking = kind == Kind.Pipe && plan.Next(2) == 0;
        (Fd near, Fd far) = await Torture.Descriptors.OpenAsync(() => Open(kind, blocking));
        if (kind == Kind.Pipe && plan.Next(2) == 0) LibC.ShrinkPipe(near);
        if (kind == Kind.SocketPair && plan.Next(2) == 0) LibC.Shrink(near, 4096);
        PolledFileOptions options = new()
        {
            NonBlocking = blocking && plan.Next(2) == 0 ? NonBlockingMode.Never : NonBlockingMode.IfOwned,
        };
        bool isBoth = kind == Kind.SocketPair;
        FileChannel Channel(Fd fd, bool reads) =>
            new(Torture, new SafeFileHandle(fd.Release(), ownsHandle: true), options, (FileForm)plan.Next(4), new Random(plan.Next()))
            {
                IsTerminal = kind == Kind.Terminal,
                Detaches = reads && !isBoth && plan.Next(2) == 0,
            };
        FileChannel to = Channel(near, reads: false), from = Channel(far, reads: true);

        string name = $"{Name} {to.File} to {from.File}, {options.NonBlocking}";
        Ending ending = new();
        long total = plan.Next(20) == 0 ? plan.Next(2_000_000) : plan.Next(60_000);
        long back = isBoth ? plan.Next(60_000) : 0;
        int seed = plan.Next();
        Flow sender = NewFlow(seed, total), receiver = NewFlow(seed, total);

        // Only one of the flows ends by the end of the stream, so the other stops by itself.
        Task replying = isBoth ? ReplyAsync(NewFlow(~seed, back), NewFlow(~seed, back)) : Task.CompletedTask;
        Task aborting = plan.Next(5) == 0 ? AbortAsync(plan.Next(2) == 0 ? to : from, ending, plan) : Task.CompletedTask;
        Task receiving = receiver.ReceiveAsync(from, stopsAtTotal: isBoth);
        activity.AwaitsOthers($"the flows of {name}");
        await sender.SendAsync(to);
        await replying;
        if (plan.Next(2) == 0) await to.File.DisposeAsync();
        else to.File.Dispose();
        await receiving;
        await aborting;
        activity.Awaits($"the close of {name}");
        await from.File.DisposeAsync();
        await to.File.DisposeAsync();

        Flow NewFlow(int seed, long total) => new(Torture, name, seed, total, StyleOf(), ending, new Random(plan.Next()));

        async Task ReplyAsync(Flow backward, Flow forward)
        {
            Task<bool> sending = backward.SendAsync(from);
            await forward.ReceiveAsync(to, stopsAtTotal: true);
            await sending;
        }

        FlowStyle StyleOf() => plan.Next(16) switch
        {
            0 => FlowStyle.Blocking,
            < 4 when Torture.MayBlockInPlace => FlowStyle.Mixed,
            _ => FlowStyle.Async,
        };
    }

    private static (Fd Near, Fd Far) Open(Kind kind, bool blocking)
    {
        switch (kind)
        {
            case Kind.Pipe:
                (Fd read, Fd write) = Fd.Pipe(blocking);
                return (write, read);
            case Kind.SocketPair:
                return Fd.SocketPair();
            default:
                (Fd master, string path) = Fd.Terminal();
                try
                {
                    Fd terminal = Fd.Open(path, Fd.ReadWrite | Fd.NonBlocking);
                    LibC.MakeRaw(terminal);
                    return (terminal, master);
                }
                catch
                {
                    master.Dispose();
                    throw;
                }
        }
    }

    private async Task AbortAsync(FileChannel channel, Ending ending, Random plan)
    {
        await Task.Delay(plan.Next(1, 4));
        await Torture.Chaos.SoonAsync(() =>
        {
            ending.IsAbortive = true;
            Torture.Figures.Add(Figure.Closes);
            channel.File.Dispose();
        }, plan);
    }
}
