using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>A listener on a Unix socket, and the file that it makes.</summary>
public abstract class UnixListenerTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_awaited_end_of_a_listener_ends_its_accepts_and_removes_its_file(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        string path = directory.NewPath();
        UnixConnListener listener = (UnixConnListener)fixture.Net.Listen("unix", path);
        Assert.True(File.Exists(path));
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        await listener.DisposeAsync().Within();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(accepting.Within);
        Assert.True(e.IsClosed, e.Message);
        Assert.Empty(directory.Files);
        Assert.Equal(path, listener.LocalEndPoint.ToString());
        Assert.Equal(nameof(UnixConnListener), Assert.Throws<ObjectDisposedException>(() => listener.SetDeadline(null)).ObjectName);

        using ConnListener next = fixture.Net.Listen("unix", path); // The path is free.
    }

    [Fact]
    public void A_file_that_another_has_put_at_the_path_stays()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using UnixConnListener first = fixture.Net.ListenUnix(path);
        File.Delete(path.ToString());
        using UnixConnListener second = fixture.Net.ListenUnix(path);
        first.Dispose();
        Assert.True(File.Exists(path.ToString()), "the file of the second listener was removed.");
        using UnixConn conn = fixture.Net.DialUnix(path);
        second.Dispose();
        Assert.Empty(directory.Files);

        // Another file, and a symbolic link, are not it either.
        UnixConnListener third = fixture.Net.ListenUnix(path);
        File.Move(path.ToString(), path + ".moved");
        File.CreateSymbolicLink(path.ToString(), path + ".moved");
        third.Dispose();
        Assert.Equal(2, directory.Files.Length);
    }

    [Fact]
    public void A_listener_that_is_told_to_leaves_its_file()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        UnixConnListener listener = fixture.Net.ListenUnix(path);
        Assert.True(listener.UnlinkOnClose);
        listener.UnlinkOnClose = false;
        listener.Dispose();
        Assert.Single(directory.Files);

        NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.ListenUnix(path));
        Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
        Assert.Contains("remove its file", e.Message, StringComparison.Ordinal);
        Assert.Single(directory.Files); // And a listen that fails does not remove it.
    }

    [Fact]
    public void A_listen_that_fails_says_why_and_leaves_nothing()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.Listen("unix", directory.NewPath() + "/none"));
        Assert.Equal(SocketError.AddressNotAvailable, e.SocketErrorCode);
        Assert.Contains("a directory that exists", e.Message, StringComparison.Ordinal);
        Assert.Empty(directory.Files);

        // The poller is gone when the socket is bound already.
        fixture.Poller.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.Listen("unix", directory.NewPath()));
        Assert.Empty(directory.Files);
    }
}

/// <summary>The working directory is the process's, so nothing runs beside this.</summary>
[Collection(nameof(Alone))]
public sealed class UnixWorkingDirectoryTests : NetTest<EpollBackend>
{
    [Fact]
    public void A_relative_path_is_removed_where_it_was_made()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        string before = Environment.CurrentDirectory;
        try
        {
            Environment.CurrentDirectory = directory.FullName;
            using ConnListener listener = fixture.Net.Listen("unix", "relative");
            Assert.Equal(["relative"], directory.Files);
            Assert.Equal("relative", listener.LocalEndPoint.ToString());
            using Conn conn = fixture.Net.Dial("unix", "./relative");
            Environment.CurrentDirectory = before;
        }
        finally
        {
            Environment.CurrentDirectory = before;
        }
        Assert.Empty(directory.Files);
    }
}
