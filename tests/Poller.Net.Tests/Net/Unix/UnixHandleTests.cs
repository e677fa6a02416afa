using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Poller.Net.Tests;

/// <summary>Descriptors in messages: they arrive with their bytes, and none is left open that nobody wanted.</summary>
public abstract class UnixHandleTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task Descriptors_arrive_as_handles_of_their_kind_and_close_on_exec(NetpollDispatch dispatch, bool blocking, string network)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        using (Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            SafeHandle?[] handles = new SafeHandle?[4];
            byte[] buffer = new byte[16];
            Operation<ReceivedHandles> receiving = server.StartReceive(blocking, buffer, handles).Waiting();
            await client.StartSend(blocking, "two"u8.ToArray(), [file, socket.SafeHandle]).Within();
            ReceivedHandles received = await receiving.Within();
            Assert.Equal(new ReceivedHandles { Bytes = 3, Handles = 2 }, received);
            Assert.Equal("two"u8, buffer.AsSpan(0, 3));

            using SafeFileHandle gotFile = Assert.IsType<SafeFileHandle>(handles[0]);
            using SafeSocketHandle gotSocket = Assert.IsType<SafeSocketHandle>(handles[1]);
            Assert.Null(handles[2]);
            Assert.Equal(2, OpenWith(path));
            Assert.True(IsCloseOnExec(gotFile) && IsCloseOnExec(gotSocket));
            Assert.Equal(7, RandomAccess.Read(gotFile, buffer, 0));
            Assert.Equal("content"u8, buffer.AsSpan(0, 7));

            // The socket is the same: what one descriptor binds, the other has.
            socket.Bind(Raw.AnyLoopbackPort);
            using Socket copy = new(gotSocket);
            Assert.Equal(socket.LocalEndPoint, copy.LocalEndPoint);

            gotFile.Dispose();
            Assert.Equal(1, OpenWith(path));
        }
    }

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task Descriptors_without_room_are_closed_and_that_is_told(NetpollDispatch dispatch, bool blocking, string network)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        {
            // 1 of 2 lies within the padding of the control data, and 1 of 5 does not. There is room for none, and for exactly all.
            foreach ((int sent, int room) in ((int, int)[])[(2, 1), (5, 1), (5, 4), (3, 0), (3, 3), (253, 253), (253, 300)])
            {
                await PassAsync(client, server, blocking, file, path, sent, room);
            }
        }
    }

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task Descriptors_arrive_beside_what_the_sockets_options_add(NetpollDispatch dispatch, bool blocking, string network)
    {
        if (!OperatingSystem.IsLinux()) return;
        using SocketDirectory directory = new();
        PidFdApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        {
            // SO_PASSCRED, SO_PASSSEC, SO_TIMESTAMPNS and, from Linux 6.5 on, SO_PASSPIDFD. The first three come before the descriptors.
            foreach (int option in (int[])[16, 34, 35]) server.SetRawSocketOption(1, option, BitConverter.GetBytes(1));
            bool hasPidFd = true;
            try
            {
                server.SetRawSocketOption(1, 76, BitConverter.GetBytes(1));
            }
            catch (NetOpException e) when (e.SocketErrorCode == SocketError.ProtocolOption)
            {
                hasPidFd = false;
            }
            foreach ((int sent, int room) in ((int, int)[])[(3, 5), (3, 3), (1, 1), (0, 1), (0, 0), (3, 1), (253, 253)])
            {
                await PassAsync(client, server, blocking, file, path, sent, room);
            }
            Assert.Equal(hasPidFd, api.Received > 0);
            Assert.Empty(api.Open);
        }
    }

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task A_plain_read_leaves_no_descriptor_open(NetpollDispatch dispatch, bool blocking, string network)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        {
            await client.StartSend(blocking, "xy"u8.ToArray(), [file]).Within();
            Assert.Equal(2, await server.ReadAsync(blocking, new byte[8]));
            Assert.Equal(1, OpenWith(path));

            // Nor does a close, with a message in the socket.
            await client.StartSend(blocking, "xy"u8.ToArray(), [file]).Within();
            file.Dispose();
            server.Dispose();
            client.Dispose();
            Assert.Equal(0, OpenWith(path));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task On_a_stream_descriptors_stay_with_their_bytes(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (SafeFileHandle first = NewFile(directory, "1", out _))
        using (SafeFileHandle second = NewFile(directory, "2", out _))
        {
            await client.StartSend(blocking, "aa"u8.ToArray(), [first]).Within();
            await client.StartSend(blocking, "bb"u8.ToArray(), [second]).Within();
            await client.WriteAsync(blocking, "cc"u8.ToArray());

            StringBuilder all = new();
            SafeHandle?[] handles = new SafeHandle?[4];
            byte[] buffer = new byte[16];
            while (all.ToString().Count(char.IsLetter) < 6)
            {
                ReceivedHandles received = await server.StartReceive(blocking, buffer, handles).Within();
                all.Append(Encoding.ASCII.GetString(buffer, 0, received.Bytes));
                Assert.False(received.HandlesDropped);
                for (int i = 0; i < received.Handles; i++)
                {
                    using SafeFileHandle got = (SafeFileHandle)handles[i]!;
                    RandomAccess.Read(got, buffer, 0);
                    all.Append((char)buffer[0]);
                }
            }

            // A receive stops behind the bytes of a set, and so never returns two.
            Assert.Equal("aa1bb2cc", all.ToString());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_send_in_parts_sends_its_descriptors_once_with_the_first_byte(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        {
            byte[] sent = new byte[2 << 20], received = new byte[2 << 20];
            Random.Shared.NextBytes(sent);
            Operation<bool> sending = client.StartSend(blocking, sent, [file, file]).Waiting();
            int total = 0, handleCount = 0;
            await Operation.Run(blocking, async () =>
            {
                while (total < sent.Length)
                {
                    SafeHandle?[] handles = new SafeHandle?[8];
                    ReceivedHandles got = blocking
                        ? server.Receive(received.AsSpan(total), handles)
                        : await server.ReceiveAsync(received.AsMemory(total), handles).ConfigureAwait(false);
                    Assert.True(got.Handles == 0 || total == 0, $"descriptors came behind byte {total}.");
                    Assert.False(got.HandlesDropped);
                    handleCount += got.Handles;
                    total += got.Bytes;
                    foreach (SafeHandle? handle in handles) handle?.Dispose();
                }
            }).Within();
            await sending.Within();
            Assert.Equal(2, handleCount);
            Assert.True(sent.AsSpan().SequenceEqual(received), "the bytes that arrived are not those that were sent.");
            Assert.Equal(1, OpenWith(path));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_a_deadline_and_a_token_end_a_receive_and_a_send_and_leak_nothing(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        {
            SafeHandle?[] handles = new SafeHandle?[1];
            Operation<ReceivedHandles> receiving = server.StartReceive(blocking, new byte[1], handles).Waiting();
            server.SetReadDeadline(TimeSpan.FromMilliseconds(1));
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(receiving.Within);
            Assert.True(e.IsTimeout, e.Message);
            Assert.Equal("receive", e.Operation);
            server.SetReadDeadline(null);

            // A send is cut in its middle. Its descriptors went with its beginning.
            Operation<bool> sending = client.StartSend(blocking, new byte[4 << 20], [file]).Waiting();
            client.SetWriteDeadline(TimeSpan.FromMilliseconds(1));
            e = await Assert.ThrowsAsync<NetOpException>(sending.Within);
            Assert.True(e.IsTimeout, e.Message);
            Assert.Equal("send", e.Operation);
            ReceivedHandles received = await server.StartReceive(blocking, new byte[1], handles).Within();
            Assert.Equal((1, 1), (received.Bytes, received.Handles));
            handles[0]!.Dispose();

            using CancellationTokenSource cancel = new();
            while (received.Bytes > 0)
            {
                ValueTask<ReceivedHandles> next = server.ReceiveAsync(new byte[1 << 20], handles, cancel.Token);
                if (next.IsCompleted)
                {
                    received = await next;
                    continue;
                }
                await cancel.CancelAsync();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next.Within());
                break;
            }

            receiving = server.StartReceive(blocking, new byte[1], handles).Waiting();
            server.Dispose();
            e = await Assert.ThrowsAsync<NetOpException>(receiving.Within);
            Assert.True(e.IsClosed, e.Message);
            Assert.Equal(1, OpenWith(path));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Handles_that_are_closed_or_too_many_or_without_a_byte_are_refused(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        {
            SafeFileHandle closed = NewFile(directory, "closed", out string closedPath);
            closed.Dispose();
            await Assert.ThrowsAsync<ObjectDisposedException>(client.StartSend(blocking, new byte[1], [file, closed]).Within);
            ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(
                () => client.StartSend(blocking, new byte[1], [.. Enumerable.Repeat(file, 254)]).Within());
            Assert.Contains("254 descriptors: at most 253", e.Message, StringComparison.Ordinal);
            e = await Assert.ThrowsAsync<ArgumentException>(() => client.StartSend(blocking, default, [file]).Within());
            Assert.Contains("at least one byte", e.Message, StringComparison.Ordinal);
            Assert.Equal("buffer", e.ParamName);
            await Assert.ThrowsAsync<ArgumentException>(() => client.StartSend(blocking, new byte[1], [file, null!]).Within());
            e = await Assert.ThrowsAsync<ArgumentException>(() => server.StartReceive(blocking, default, new SafeHandle?[1]).Within());
            Assert.Contains("room for at least one byte", e.Message, StringComparison.Ordinal);
            Assert.Equal("buffer", e.ParamName);

            // The handle was let go, and the connection works.
            file.Dispose();
            Assert.True(file.IsClosed);
            Assert.Equal(0, OpenWith(path));
            await client.StartSend(blocking, new byte[1], []).Within();
            Assert.Equal(new ReceivedHandles { Bytes = 1 }, await server.StartReceive(blocking, new byte[1], new SafeHandle?[1]).Within());
        }
    }

    [Fact]
    public async Task A_connection_that_was_passed_is_adopted_and_goes_on()
    {
        using Fixture fixture = new();
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        (TcpConn near, TcpConn far) = await fixture.PairAsync();
        using (client)
        using (server)
        {
            await far.WriteAsync("before"u8.ToArray()).Within();
            using (SafeSocketHandle detached = await near.DetachAsync().Within()) await client.SendAsync(new byte[1], [detached]).Within();
            SafeHandle?[] handles = new SafeHandle?[1];
            Assert.Equal(1, (await server.ReceiveAsync(new byte[1], handles).Within()).Handles);
            using SafeHandle handle = handles[0]!;
            using Conn adopted = fixture.Net.AdoptConn(handle);
            byte[] buffer = new byte[16];
            Assert.Equal(6, await adopted.ReadAsync(buffer).Within());
            await adopted.WriteAsync("after"u8.ToArray()).Within();
            Assert.Equal(5, await far.ReadAsync(buffer).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Memory_that_throws_loses_no_descriptor(NetpollDispatch dispatch)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out string path))
        using (ThrowingMemory memory = new())
        {
            await client.SendAsync(new byte[1], [file]).Within();
            await Assert.ThrowsAsync<InvalidDataException>(() => server.ReceiveAsync(new byte[1], memory.Memory).Within());
            SafeHandle?[] handles = new SafeHandle?[1];
            Assert.Equal(1, (await server.ReceiveAsync(new byte[1], handles).Within()).Handles);
            handles[0]!.Dispose();
            Assert.Equal(1, OpenWith(path));
        }
    }

    [Fact]
    public async Task A_list_that_changes_during_the_send_does_not_change_what_is_sent()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (SafeFileHandle file = NewFile(directory, "content", out _))
        {
            Task filling = client.WriteAsync(new byte[1 << 20]).AsTask();
            List<SafeHandle> list = [file];
            Task sending = client.SendAsync(new byte[1], list).AsTask(); // It queues.
            list.Clear();
            SafeHandle?[] handles = new SafeHandle?[1];
            byte[] buffer = new byte[1 << 20];
            int total = 0, count = 0;
            while (total < (1 << 20) + 1)
            {
                ReceivedHandles received = await server.ReceiveAsync(buffer, handles).Within();
                total += received.Bytes;
                count += received.Handles;
            }
            await filling.Within();
            await sending.Within();
            Assert.Equal(1, count);
            handles[0]!.Dispose();
        }
    }

    private static async Task PassAsync(UnixConn from, UnixConn to, bool blocking, SafeFileHandle file, string path, int sent, int room)
    {
        await from.StartSend(blocking, "x"u8.ToArray(), [.. Enumerable.Repeat(file, sent)]).Within();
        SafeHandle?[] handles = new SafeHandle?[room];
        ReceivedHandles received = await to.StartReceive(blocking, new byte[8], handles).Within();
        int expected = Math.Min(sent, room);
        Assert.Equal(new ReceivedHandles { Bytes = 1, Handles = expected, HandlesDropped = sent > room }, received);
        Assert.Equal(1 + expected, OpenWith(path));
        Assert.All(handles.Take(expected), static handle => handle!.Dispose());
        Assert.Equal(1, OpenWith(path));
    }

    private static SafeFileHandle NewFile(SocketDirectory directory, string content, out string path)
    {
        path = directory.NewPath();
        File.WriteAllText(path, content);
        return File.OpenHandle(path);
    }

    // How many descriptors of this process have a file open.
    private static int OpenWith(string path) => new DirectoryInfo("/proc/self/fd").EnumerateFiles().Count(file => file.LinkTarget == path);

    private static bool IsCloseOnExec(SafeHandle handle)
    {
        const int CloseOnExec = 0x80000;
        IEnumerable<string> info = File.ReadLines($"/proc/self/fdinfo/{handle.DangerousGetHandle()}");
        string flags = info.First(static line => line.StartsWith("flags:", StringComparison.Ordinal));
        return (Convert.ToInt32(flags["flags:".Length..].Trim(), 8) & CloseOnExec) != 0;
    }

    /// <summary>Keeps the descriptors of processes that have come and that nobody has closed.</summary>
    private sealed class PidFdApi : ForwardingSocketApi
    {
        private int _received;

        public int Received => Volatile.Read(ref _received);

        public ConcurrentDictionary<int, bool> Open { get; } = new();

        public override IoResult ReceiveMessage(
            nint fd, ReadOnlySpan<IoVector> buffers, Span<byte> address, Span<byte> control, out MessageInfo info)
        {
            IoResult result = base.ReceiveMessage(fd, buffers, address, control, out info);
            Note(control[..info.ControlLength]);
            return result;
        }

        public override IoResult ReceiveMessage(nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info)
        {
            IoResult result = base.ReceiveMessage(fd, buffer, address, control, out info);
            Note(control[..info.ControlLength]);
            return result;
        }

        public override IoResult Close(nint fd)
        {
            Open.TryRemove((int)fd, out _);
            return base.Close(fd);
        }

        private void Note(ReadOnlySpan<byte> control)
        {
            const int ScmPidFd = 4;
            ControlReader reader = new(control);
            while (reader.TryRead(out ControlItem item))
            {
                if (item.Level != SocketLevel || item.Type != ScmPidFd) continue;
                Interlocked.Increment(ref _received);
                Open[MemoryMarshal.Read<int>(item.Data)] = true;
            }
        }
    }

    private sealed class ThrowingMemory : System.Buffers.MemoryManager<SafeHandle?>
    {
        public override Memory<SafeHandle?> Memory => CreateMemory(1);

        public override Span<SafeHandle?> GetSpan() => throw new InvalidDataException("the memory's owner throws.");

        public override System.Buffers.MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() { }

        protected override void Dispose(bool disposing) { }
    }
}
