using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>The end of a file: Dispose, Detach, and a descriptor that is closed elsewhere.</summary>
public abstract class FileCloseTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Dispose_ends_what_waits_and_refuses_what_comes_later(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            Func<PolledFile, Func<Task>>[] operations =
            [
                file => file.StartRead(blocking, new byte[1]).Waiting().Within,
                file => file.StartCall(blocking, new byte[1]).Waiting().Within,
                file => file.StartWait(blocking).Waiting().Within,
            ];
            foreach (Func<PolledFile, Func<Task>> start in operations)
            {
                PolledFile file = fixture.Polled(read);
                Func<Task> waiting = start(file);
                file.Dispose();
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(waiting);
                Assert.True(e.IsClosed);
                Assert.EndsWith($" pipe fd {read.Number}: closed on this side during the operation", e.Message, StringComparison.Ordinal);
                await Assert.ThrowsAsync<ObjectDisposedException>(file.StartRead(blocking, new byte[1]).Within);
                await Assert.ThrowsAsync<ObjectDisposedException>(file.StartCall(blocking, new byte[1]).Within);
                await Assert.ThrowsAsync<ObjectDisposedException>(file.StartWait(blocking).Within);
                Assert.Throws<ObjectDisposedException>(() => file.TryRead(new byte[1], Files.ReadCall, out _));
                Assert.Throws<ObjectDisposedException>(() => file.SetDeadline(null));
                Assert.Throws<ObjectDisposedException>(file.Detach);
                await file.DisposeAsync().AsTask().Within();
            }
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task DisposeAsync_waits_until_the_descriptor_is_closed(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        for (int i = 0; i < 50; i++)
        {
            (Fd read, Fd write) = Fd.Pipe();
            using (write)
            {
                PolledFile file = new(fixture.Poller, read.Release(), ownsHandle: true);
                Task<int> reading = file.ReadAsync(new byte[1]).AsTask();
                await file.DisposeAsync().AsTask().Within();
                AssertNobodyHasTheOtherEnd(write);
                Assert.True((await Assert.ThrowsAsync<NetOpException>(() => reading.Within())).IsClosed);
            }
        }
    }

    [Fact]
    public async Task A_handle_lives_as_long_as_the_file_and_is_disposed_only_if_it_is_owned()
    {
        using Fixture fixture = new();
        foreach (bool owns in (bool[])[false, true])
        {
            (Fd read, Fd write) = Fd.Pipe();
            using (write)
            {
                using SafeFileHandle handle = new(read.Release(), ownsHandle: true);
                PolledFile file = new(fixture.Poller, handle, owns);
                if (!owns) handle.Dispose(); // The file's reference keeps the descriptor open.
                Assert.Equal(1, write.Write());
                Assert.Equal(1, await file.ReadAsync(new byte[1]).Within());
                await file.DisposeAsync().AsTask().Within();
                Assert.True(handle.IsClosed);
                AssertNobodyHasTheOtherEnd(write);
                Assert.Throws<ObjectDisposedException>(() => new PolledFile(fixture.Poller, handle));
            }
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Detach_ends_what_waits_and_gives_the_handle_back(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe(blocking: true);
        using (write)
        {
            using SafeFileHandle handle = new(read.Release(), ownsHandle: true);
            for (int i = 0; i < 20; i++)
            {
                PolledFile file = new(fixture.Poller, handle);
                Operation<int> reading = file.StartRead(blocking, new byte[1]).Waiting();
                Task<int> queued = file.ReadAsync(new byte[1]).AsTask();
                SafeHandle detached = i % 2 == 0 ? await file.DetachAsync().Within() : await Task.Run(file.Detach).Within();
                Assert.Same(handle, detached);
                Assert.False(handle.IsClosed);
                Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsClosed);
                Assert.True((await Assert.ThrowsAsync<NetOpException>(() => queued.Within())).IsClosed);
                file.Dispose();
                await Assert.ThrowsAsync<ObjectDisposedException>(file.DetachAsync);
                Assert.False(handle.IsClosed);
            }
            Assert.Equal(1, write.Write());
            Assert.Equal(1, Fd.Read(handle.DangerousGetHandle(), new byte[8])); // It is out of the poller, and takes bytes again.
        }
    }

    [Fact]
    public async Task One_of_a_dispose_and_a_detach_wins()
    {
        using Fixture fixture = new();
        for (int i = 0; i < 200; i++)
        {
            (Fd read, Fd write) = Fd.Pipe();
            using (write)
            {
                SafeFileHandle handle = new(read.Release(), ownsHandle: true);
                PolledFile file = new(fixture.Poller, handle);
                Task<int> reading = file.ReadAsync(new byte[1]).AsTask();
                Task disposing = Task.Run(file.Dispose);
                SafeHandle? detached = null;
                try
                {
                    detached = await file.DetachAsync().Within();
                }
                catch (ObjectDisposedException)
                {
                }
                await disposing.Within();
                await file.DisposeAsync().AsTask().Within();
                Assert.Equal(detached is null, handle.IsClosed);
                handle.Dispose();
                await Assert.ThrowsAsync<NetOpException>(() => reading.Within());
            }
        }
    }

    [Fact]
    public async Task With_inline_dispatch_the_loops_own_thread_may_not_detach_by_blocking()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            Task<Exception?> detaching = DetachOnLoopAsync(file);
            Assert.False(detaching.IsCompleted);
            Assert.Equal(1, write.Write());
            Assert.IsType<InvalidOperationException>(await detaching.Within());
        }

        static async Task<Exception?> DetachOnLoopAsync(PolledFile file)
        {
            await file.ReadAsync(new byte[1]).ConfigureAwait(false);
            return Record.Exception(() => file.Detach());
        }
    }

    [Fact]
    public async Task A_disposed_poller_ends_what_waits_and_takes_no_new_file()
    {
        Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            PolledFile file = fixture.Polled(read);
            Task<int> reading = file.ReadAsync(new byte[1]).AsTask();
            fixture.Dispose();
            Assert.True((await Assert.ThrowsAsync<NetOpException>(() => reading.Within())).IsClosed);
            (await file.DetachAsync().Within()).Dispose();
            ObjectDisposedException e = Assert.Throws<ObjectDisposedException>(() => fixture.Polled(read));
            Assert.Contains($"open pipe fd {read.Number}: its poller was disposed", e.Message, StringComparison.Ordinal);
            Assert.Equal(1, write.Write());
            Assert.Equal(1, read.Read());
        }
    }

    // A child process that another test starts has a copy of each descriptor from its fork(2) to its exec(2).
    private static void AssertNobodyHasTheOtherEnd(Fd write) =>
        Assert.True(SpinWait.SpinUntil(() => write.Write() == -Errno.EPIPE.Number, Fixture.Patience), "the other end was still open.");
}
