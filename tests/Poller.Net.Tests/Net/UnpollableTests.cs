using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>A descriptor that the system cannot poll is refused with a text that says so.</summary>
public abstract class UnpollableTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public void A_regular_file_is_refused()
    {
        using Fixture fixture = new();
        string path = Path.GetTempFileName();
        try
        {
            using SafeFileHandle file = File.OpenHandle(path);
            nint fd = file.DangerousGetHandle();
            NetpollException e = Assert.Throws<NetpollException>(() => fixture.Poller.NextLoop().Open(fd));
            Assert.Equal(Errno.EPERM, e.Error);
            Assert.StartsWith($"{TBackend.Factory.Name} open fd {fd}: ", e.Message, StringComparison.Ordinal);
            Assert.EndsWith(
                "it cannot be polled (regular files and directories cannot); a socket, a pipe, a terminal or the like was expected",
                e.Message,
                StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_number_that_is_no_descriptor_is_refused()
    {
        using Fixture fixture = new();
        foreach (nint fd in (nint[])[-1, int.MaxValue])
        {
            NetpollException e = Assert.Throws<NetpollException>(() => fixture.Poller.NextLoop().Open(fd));
            Assert.Equal(Errno.EBADF, e.Error);
            Assert.EndsWith("an open descriptor was expected", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_descriptor_that_is_in_the_poller_already_is_refused_and_works_on()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        NetpollException e = Assert.Throws<NetpollException>(() => fixture.Poller.NextLoop().Open(Raw.FdOf(server)));
        Assert.Equal(Errno.EEXIST, e.Error);
        Assert.EndsWith("one that is not was expected", e.Message, StringComparison.Ordinal);
        ValueTask<int> read = server.ReadAsync(new byte[8]);
        client.Write([1]);
        Assert.Equal(1, await read.Within());
    }

    [Fact]
    public async Task A_refused_descriptor_leaves_nothing_behind()
    {
        using Fixture fixture = new();
        PollLoop loop = fixture.Poller.NextLoop();
        using SafeFileHandle file = File.OpenHandle(typeof(UnpollableTests<TBackend>).Assembly.Location);
        for (int i = 0; i < 1000; i++) Assert.Throws<NetpollException>(() => loop.Open(file.DangerousGetHandle()));
        Assert.InRange(loop.Cache.Snapshot().Length, 0, 1);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        ValueTask<int> read = server.ReadAsync(new byte[8]);
        client.Write([1]);
        Assert.Equal(1, await read.Within());
    }
}
