using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>A file goes out byte by byte as it is, by sendfile(2) and by copying (Go's sendfile_test.go).</summary>
public abstract class SendFileTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    /// <summary><see cref="Forms.All"/>, by sendfile (false) and by copying (true).</summary>
    public static TheoryData<NetpollDispatch, bool, bool> AllWays
    {
        get
        {
            TheoryData<NetpollDispatch, bool, bool> all = [];
            foreach (object[] form in Forms.All)
            {
                foreach (bool copies in (bool[])[false, true]) all.Add((NetpollDispatch)form[0], (bool)form[1], copies);
            }
            return all;
        }
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task Every_byte_of_a_file_arrives_and_its_position_stays(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        TransferApi api = Api(copies);
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile file = new(3_000_000);
        file.Stream.Position = 12;
        Totals totals = new();
        Operation<long> sending = client.StartSendFile(blocking, file.Handle, 0, null, totals);
        Task<byte[]> reading = server.ReadAllAsync();
        Assert.Equal(file.Bytes.Length, await sending.Within());
        client.CloseWrite();
        Gathered.AssertSame(file.Bytes, await reading.Within(), "the file");
        Assert.Equal(12, file.Stream.Position);
        Assert.InRange(api.LargestFileSend, 1, 1 << 20);

        // Each total is above the one before.
        Assert.Equal(file.Bytes.Length, totals.Seen[^1]);
        Assert.Equal(totals.Seen.Distinct().Order(), totals.Seen);
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_part_of_a_file_arrives_through_short_and_interrupted_calls(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        TransferApi api = Api(copies);
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile file = new(100_000);
        api.MaxFileSend = 7_000;
        int calls = 0;
        if (!copies) api.SendingFile = () => calls++ % 2 == 0 ? Errno.EINTR : null;
        foreach ((long offset, long? length) in ((long, long?)[])[(0, 0), (10, 1), (99_999, null), (100_000, null), (20_000, 60_000)])
        {
            byte[] expected = file.Bytes[(int)offset..(int)(offset + length ?? 100_000)];
            Assert.Equal(expected.Length, await client.StartSendFile(blocking, file.Handle, offset, length).Within());
            byte[] received = new byte[expected.Length];
            await server.ReadExactlyAsync(blocking, received);
            Assert.Equal(expected, received);
        }
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_file_that_shrinks_meanwhile_is_an_error_that_says_how_much_was_sent(
        NetpollDispatch dispatch, bool blocking, bool copies)
    {
        TransferApi api = Api(copies);
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile file = new(300_000);
        api.MaxFileSend = 100_000;
        Totals shrinking = new() { OnReport = _ => file.Stream.SetLength(150_000) };
        Operation<long> sending = client.StartSendFile(blocking, file.Handle, 50, 200_000, shrinking);
        EndOfStreamException e = await Assert.ThrowsAsync<EndOfStreamException>(sending.Within);
        long sent = shrinking.Seen[^1];
        Assert.Equal(149_950, sent);
        Assert.Contains($"after {sent} of 200000 bytes", e.Message, StringComparison.Ordinal);

        // Without a length the end of the file is the end.
        Assert.Equal(149_950, await client.StartSendFile(blocking, file.Handle, 50, null).Within());
        client.CloseWrite();
        Assert.Equal(2 * 149_950, (await server.ReadAllAsync().Within()).Length);
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_deadline_a_token_and_a_close_end_it(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        using Fixture fixture = new(dispatch, api: Api(copies));
        using TemporaryFile file = new(16 << 20, zeros: true);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<long> late = client.StartSendFile(blocking, file.Handle, 0, null).Waiting();
        client.SetWriteDeadline(DateTimeOffset.UnixEpoch);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(late.Within);
        Assert.True(e.IsTimeout);
        Assert.Equal("send file", e.Operation);
        client.SetWriteDeadline(null);
        if (!blocking)
        {
            using CancellationTokenSource cancel = new();
            Task<long> canceled = client.SendFileAsync(file.Handle, cancellationToken: cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled.Within());
        }
        Operation<long> closed = client.StartSendFile(blocking, file.Handle, 0, null).Waiting();
        client.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(closed.Within)).IsClosed);
        server.Dispose();
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_deadline_and_a_token_end_it_also_while_the_socket_takes_all(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        TransferApi api = Api(copies);
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile file = new(40_000, zeros: true);
        api.MaxFileSend = 1_000;
        Totals late = new() { OnReport = _ => client.SetWriteDeadline(DateTimeOffset.UnixEpoch) };
        Operation<long> sending = client.StartSendFile(blocking, file.Handle, 0, null, late);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(sending.Within)).IsTimeout);
        client.SetWriteDeadline(null);
        using CancellationTokenSource cancel = new();
        Totals canceling = new() { OnReport = _ => cancel.Cancel() };
        ValueTask<long> canceled = client.SendFileAsync(file.Handle, progress: canceling, cancellationToken: cancel.Token);
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled.Within());
        Assert.Equal(cancel.Token, e.CancellationToken);
        Assert.Equal([1_000], late.Seen);
        Assert.Equal([1_000], canceling.Seen);
        client.CloseWrite();
        Assert.Equal(2_000, (await server.ReadAllAsync().Within()).Length);
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task What_throws_ends_its_own_operation_and_gives_the_lock_back(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        using Fixture fixture = new(dispatch, api: Api(copies));
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile file = new(1_000);
        InvalidDataException thrown = new("the progress");
        Totals throwing = new() { OnReport = _ => throw thrown };
        Operation<long> sending = client.StartSendFile(blocking, file.Handle, 0, null, throwing);
        Assert.Same(thrown, await Assert.ThrowsAsync<InvalidDataException>(sending.Within));
        using SafeFileHandle writeOnly = File.OpenHandle(file.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        await Assert.ThrowsAsync<UnauthorizedAccessException>(client.StartSendFile(blocking, writeOnly, 0, null).Within);
        Assert.Equal(1_000, await client.StartSendFile(blocking, file.Handle, 0, null).Within());
        client.CloseWrite();
        Assert.Equal(2_000, (await server.ReadAllAsync().Within()).Length);
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_send_that_fails_tells_how_much_was_sent(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        using Fixture fixture = new(dispatch, api: Api(copies));
        using TemporaryFile file = new(16 << 20, zeros: true);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        SafeFileHandle handle = File.OpenHandle(file.Path);
        Totals disposed = new(), late = new() { OnReport = _ => client.SetWriteDeadline(DateTimeOffset.UnixEpoch) };
        Operation<long> sending = client.StartSendFile(blocking, handle, 0, null, disposed).Waiting();
        handle.Dispose();
        Task<long> reading = CountAsync();
        ObjectDisposedException e = await Assert.ThrowsAsync<ObjectDisposedException>(sending.Within);
        Assert.StartsWith($"send file: the file was disposed after {disposed.Seen[^1]} bytes", e.Message, StringComparison.Ordinal);

        await Assert.ThrowsAsync<NetOpException>(client.StartSendFile(blocking, file.Handle, 0, null, late).Within);
        client.CloseWrite();
        Assert.Equal(disposed.Seen[^1] + late.Seen[^1], await reading.Within());

        async Task<long> CountAsync()
        {
            byte[] buffer = new byte[1 << 16];
            long count = 0;
            while (await server.ReadAsync(buffer).ConfigureAwait(false) is > 0 and int n) count += n;
            return count;
        }
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_peer_that_resets_ends_it(NetpollDispatch dispatch, bool blocking, bool copies)
    {
        using Fixture fixture = new(dispatch, api: Api(copies));
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile file = new(16 << 20, zeros: true);
        Operation<long> sending = client.StartSendFile(blocking, file.Handle, 0, null).Waiting();
        server.Reset();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(sending.Within);
        Assert.True(e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown, e.Message);
    }

    [Theory, MemberData(nameof(AllWays))]
    public async Task A_file_without_a_size_is_sent_to_its_end_and_nothing_is_sent_from_behind_an_end(
        NetpollDispatch dispatch, bool blocking, bool copies)
    {
        using Fixture fixture = new(dispatch, api: Api(copies));
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using TemporaryFile empty = new(0);
        Assert.Equal(0, await client.StartSendFile(blocking, empty.Handle, 0, null).Within());
        using TemporaryFile file = new(10);
        Assert.Equal(0, await client.StartSendFile(blocking, file.Handle, 1000, null).Within());
        await Assert.ThrowsAsync<EndOfStreamException>(client.StartSendFile(blocking, file.Handle, 1000, 1).Within);

        const string Path = "/proc/version"; // Its size is 0 by fstat(2).
        byte[] expected = await File.ReadAllBytesAsync(Path);
        using SafeFileHandle version = File.OpenHandle(Path);
        Assert.Equal(expected.Length, await client.StartSendFile(blocking, version, 0, null).Within());
        client.CloseWrite();
        Gathered.AssertSame(expected, await server.ReadAllAsync().Within(), Path);
    }

    [Fact]
    public async Task What_has_no_positions_and_what_is_no_range_are_refused()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (SafeFileHandle pipe = new(read.Number, ownsHandle: false))
        {
            ArgumentException e = Assert.Throws<ArgumentException>(() => client.SendFile(pipe));
            Assert.Contains("Pipe", e.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<ArgumentException>(async () => await client.SendFileAsync(pipe));
        }
        using TemporaryFile file = new(1);
        Assert.Throws<ArgumentOutOfRangeException>(() => client.SendFile(file.Handle, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => client.SendFile(file.Handle, 0, -1));
        Assert.Throws<ArgumentNullException>(() => client.SendFile(null!));
        SafeFileHandle closed = File.OpenHandle(file.Path);
        closed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.SendFile(closed));
        using SafeFileHandle none = new(int.MaxValue, ownsHandle: false); // No process has so many descriptors.
        ArgumentException other = Assert.Throws<ArgumentException>(() => client.SendFile(none));
        Assert.Equal($"send file: {Errno.EBADF.Message}; an open file was expected. (Parameter 'file')", other.Message);
    }

    private static TransferApi Api(bool copies) => new() { SendingFile = copies ? static () => Errno.EINVAL : null };

    private sealed class Totals : IProgress<long>
    {
        public List<long> Seen { get; } = [];

        public Action<long>? OnReport { get; init; }

        public void Report(long value)
        {
            Seen.Add(value);
            OnReport?.Invoke(value);
        }
    }
}

/// <summary>A file of random bytes, which is deleted.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(int length, bool zeros = false)
    {
        Bytes = zeros ? new byte[length] : RandomNumberGenerator.GetBytes(length);
        Path = System.IO.Path.GetTempFileName();
        Stream = new FileStream(Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        if (zeros) Stream.SetLength(length);
        else Stream.Write(Bytes);
    }

    public byte[] Bytes { get; }

    public string Path { get; }

    public FileStream Stream { get; }

    public SafeFileHandle Handle => Stream.SafeFileHandle;

    public void Dispose()
    {
        Stream.Dispose();
        File.Delete(Path);
    }
}

internal static class SendFileOperation
{
    public static Operation<long> StartSendFile(
        this TcpConn conn, bool blocking, SafeFileHandle file, long offset, long? length, IProgress<long>? progress = null) =>
        blocking
            ? new(() => conn.SendFile(file, offset, length, progress))
            : new(conn.SendFileAsync(file, offset, length, progress).AsTask());
}
