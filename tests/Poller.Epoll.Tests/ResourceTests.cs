using System.Globalization;
using Poller.Abstractions;

namespace Poller.Epoll.Tests;

public sealed class EpollResourceTests() : ResourceTests(() => new EpollNetpoll())
{
    private const string EventFd = "anon_inode:[eventfd]", EventPoll = "anon_inode:[eventpoll]";

    [Fact]
    public void The_descriptors_are_one_epoll_and_one_eventfd_and_no_child_inherits_them()
    {
        const int CloseOnExec = 0x80000;
        IReadOnlyDictionary<int, string> before = OpenDescriptors();
        using EpollNetpoll poller = new();
        poller.Init();

        List<KeyValuePair<int, string>> made = [.. OpenDescriptors().Except(before).Where(d => d.Value is EventFd or EventPoll)];

        Assert.Equal([EventFd, EventPoll], made.Select(d => d.Value).Order());
        Assert.All(made, d => Assert.Equal(CloseOnExec, Convert.ToInt32(Info(d.Key, "flags"), 8) & CloseOnExec));
    }

    [Fact]
    public void Concurrent_Breaks_are_one_write()
    {
        IReadOnlyDictionary<int, string> before = OpenDescriptors();
        using EpollNetpoll poller = new();
        poller.Init();
        int wakeup = Assert.Single(OpenDescriptors().Except(before), d => d.Value == EventFd).Key;

        Worker[] breakers = [.. Enumerable.Range(0, 8).Select(_ => Worker.Start(() => { for (int i = 0; i < 1000; i++) poller.Break(); }))];
        foreach (Worker breaker in breakers) breaker.Join();
        Assert.Equal(1, Writes());

        Assert.Equal(0, poller.Poll(new PollEvent[1], 0));
        Assert.Equal(1, Writes());
        Assert.Equal(0, poller.Poll(new PollEvent[1], -1));
        Assert.Equal(0, Writes());

        int Writes() => int.Parse(Info(wakeup, "eventfd-count"), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    [Theory]
    [InlineData(0, "epoll_create1")]
    [InlineData(1, "eventfd")]
    public void Init_without_descriptors_names_the_call_leaks_nothing_and_may_be_tried_again(int left, string operation)
    {
        using EpollNetpoll poller = new();
        using Fd any = Fd.EventFd();
        _ = new NetpollException("made once while there are descriptors to load what it needs", Errno.EMFILE).Message;
        List<Fd> hoard = [];
        NetpollException error;
        int free = 0;

        using (DescriptorLimit.To(1024))
        {
            try
            {
                Hoard();
                for (int i = 0; i < left; i++) hoard[^(i + 1)].Dispose();
                error = Assert.Throws<NetpollException>(poller.Init);
                int before = hoard.Count;
                Hoard();
                free = hoard.Count - before;
            }
            finally
            {
                foreach (Fd fd in hoard) fd.Dispose();
            }
        }

        Assert.Equal(Errno.EMFILE, error.Error);
        Assert.Equal(operation, error.Operation);
        Assert.Equal(left, free);
        poller.Init();

        void Hoard()
        {
            while (any.TryDuplicate() is { } fd) hoard.Add(fd);
        }
    }

    private static Dictionary<int, string> OpenDescriptors()
    {
        GC.Collect(); // A finalizer may not close what an earlier test dropped between two looks.
        GC.WaitForPendingFinalizers();
        Dictionary<int, string> open = [];
        foreach (string path in Directory.GetFiles("/proc/self/fd"))
        {
            // The listing's own descriptor is gone by now.
            if (new FileInfo(path).LinkTarget is not { } target) continue;
            open.Add(int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture), target);
        }
        return open;
    }

    private static string Info(int fd, string field) => File.ReadLines($"/proc/self/fdinfo/{fd}")
        .Single(line => line.StartsWith(field + ":", StringComparison.Ordinal))[(field.Length + 1)..].Trim();
}

/// <summary>The descriptors of a level-triggered one.</summary>
public sealed class EpollLevelResourceTests() : ResourceTests(EpollLevel.Factory.Create);
