using System.Text;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Reads, writes and the caller's own functions: they try first, and wait only after "would block".</summary>
public abstract class FileReadWriteTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_waits_for_bytes(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            byte[] buffer = new byte[8];
            for (int i = 1; i <= 3; i++)
            {
                Operation<int> reading = file.StartRead(blocking, buffer).Waiting();
                Assert.Equal(i, Fd.Write(write, new byte[i]));
                Assert.Equal(i, await reading.Within());
            }
            write.Dispose();
            Assert.Equal(0, await file.StartRead(blocking, buffer).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_function_runs_again_after_each_wait_until_it_has_a_result(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using Fd counter = Fd.EventFd();
        using PolledFile file = fixture.Polled(counter);
        byte[] buffer = new byte[8];
        for (int i = 0; i < 3; i++)
        {
            Operation<int> reading = file.StartCall(blocking, buffer).Waiting();
            counter.Signal();
            Assert.Equal(8, await reading.Within());
            Assert.Equal(1, buffer[0]);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_larger_than_the_pipe_waits_for_its_reader_and_loses_nothing(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile reader = fixture.Polled(read))
        using (PolledFile writer = fixture.Polled(write))
        {
            byte[] sent = new byte[1_000_003];
            new Random(1).NextBytes(sent);
            Operation<bool> writing = writer.StartWrite(blocking, sent).Waiting();
            byte[] got = new byte[sent.Length];
            for (int at = 0; at < got.Length;)
            {
                int n = await reader.ReadAsync(got.AsMemory(at)).Within();
                Assert.NotEqual(0, n);
                at += n;
            }
            await writing.Within();
            Assert.True(sent.AsSpan().SequenceEqual(got));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_function_that_takes_one_record_of_two_gets_the_other_without_an_event(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            byte[] record = new byte[4];
            Operation<int> reading = file.StartCall(blocking, record).Waiting();
            Fd.Write(write, "one.two."u8);
            Assert.Equal(4, await reading.Within());
            Assert.Equal("one.", Encoding.ASCII.GetString(record));
            Assert.Equal(4, await file.StartCall(blocking, record).Within());
            Assert.Equal("two.", Encoding.ASCII.GetString(record));
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_function_that_throws_ends_its_own_operation_only(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            Func<nint, int, TryResult<int>> throws = static (_, value) => throw new FormatException($"at {value}");
            Func<nint, int[], TryResult<int>> throwsAtTheSecond = static (_, calls) =>
                ++calls[0] == 1 ? TryResult.WouldBlock : throw new FormatException("later");

            Assert.Equal("at 1", (await Assert.ThrowsAsync<FormatException>(() => file.ReadAsync(1, throws).Within())).Message);
            Assert.Equal("at 2", Assert.Throws<FormatException>(() => file.Read(2, throws)).Message);
            Assert.Equal("at 3", Assert.Throws<FormatException>(() => file.TryRead(3, throws, out _)).Message);

            Task<int> failing = file.ReadAsync(new int[1], throwsAtTheSecond).AsTask();
            Task<int> queued = file.ReadAsync(new byte[8]).AsTask();
            Assert.False(failing.IsCompleted || queued.IsCompleted);
            Assert.Equal(1, write.Write());
            Assert.Equal("later", (await Assert.ThrowsAsync<FormatException>(() => failing.Within())).Message);
            Assert.Equal(1, await queued.Within());
        }
    }

    [Fact]
    public async Task One_try_tells_a_result_from_would_block()
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile reader = fixture.Polled(read))
        using (PolledFile writer = fixture.Polled(write))
        {
            byte[] buffer = new byte[8];
            Assert.False(reader.TryRead(buffer, Files.ReadCall, out int n));
            Assert.True(writer.TryWrite(new byte[3], Files.WriteCall, out n));
            Assert.Equal(3, n);
            Assert.True(reader.TryRead(buffer, Files.ReadCall, out n));
            Assert.Equal(3, n);

            // What it did not take does not get lost for the waits of others.
            Operation<int> reading = reader.StartCall(blocking: false, buffer).Waiting();
            Assert.False(reader.TryRead(buffer, Files.ReadCall, out _));
            Assert.Equal(1, write.Write());
            Assert.Equal(1, await reading.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Operations_of_one_direction_run_in_their_order(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            byte[][] buffers = [new byte[1], new byte[1], new byte[1]];
            Task<int>[] reads =
            [
                file.ReadAsync(buffers[0]).AsTask(),
                file.ReadAsync(buffers[1], Files.ReadCall).AsTask(),
                file.ReadAsync(buffers[2]).AsTask(),
            ];
            Fd.Write(write, [1, 2, 3]);
            Assert.Equal(new[] { 1, 1, 1 }, await Task.WhenAll(reads).Within());
            Assert.Equal([1, 2, 3], buffers.Select(static buffer => buffer[0]));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_into_an_empty_buffer_waits_for_bytes_and_takes_none(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            Operation<int> reading = file.StartRead(blocking, Memory<byte>.Empty).Waiting();
            Assert.Equal(5, write.Write(5));
            Assert.Equal(0, await reading.Within());
            Assert.Equal(5, await file.ReadAsync(new byte[8]).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_that_nobody_can_read_fails_and_says_of_what(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (write)
        using (PolledFile file = fixture.Polled(write))
        {
            Operation<bool> writing = file.StartWrite(blocking, new byte[1 << 20]).Waiting();
            read.Dispose();
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(writing.Within);
            Assert.Equal($"write pipe fd {write.Number}: Broken pipe", e.Message);
            Assert.Equal($"pipe fd {write.Number}", e.Network);
            Assert.Equal(Errno.EPIPE, Assert.IsType<NetpollException>(e.InnerException).Error);
        }
    }

    [Fact]
    public async Task A_file_is_a_stream_too()
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        using PolledFile reader = new(fixture.Poller, read.Release(), ownsHandle: true);
        using PolledFile writer = new(fixture.Poller, write.Release(), ownsHandle: true);
        using StreamReader lines = new(reader.AsStream());
        using (StreamWriter text = new(writer.AsStream()))
        {
            await text.WriteAsync("one\ntwo\n");
            await text.FlushAsync();
            Assert.Equal("one", await lines.ReadLineAsync().Within());
            await Task.Run(() => text.WriteLine("three"));
        }
        Assert.Equal("two\nthree\n", await lines.ReadToEndAsync().Within());
        Assert.Throws<ObjectDisposedException>(() => writer.Write([1]));

        Stream stream = reader.AsStream();
        Assert.True(stream is { CanRead: true, CanWrite: true, CanSeek: false, CanTimeout: true });
        Assert.Throws<NotSupportedException>(() => stream.Length);
        Assert.Equal(0, await Task.Factory.FromAsync(stream.BeginRead(new byte[1], 0, 1, null, null), stream.EndRead).Within());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_time_out_of_the_stream_ends_a_read_and_the_file_stays_usable(bool blocking)
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            file.AsStream().ReadTimeout = 10;
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(file.StartRead(blocking, new byte[1]).Within);
            Assert.True(e.IsTimeout);
            Assert.StartsWith($"read pipe fd {read.Number}: ", e.Message, StringComparison.Ordinal);
            Assert.Equal(1, write.Write());
            Assert.Equal(1, await file.StartRead(blocking, new byte[1]).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_ends_what_waits_and_what_comes_later(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            Operation<int> reading = file.StartCall(blocking, new byte[1]).Waiting();
            file.SetReadDeadline(DateTimeOffset.UtcNow);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
            Assert.Equal(1, write.Write());
            Assert.True((await Assert.ThrowsAsync<NetOpException>(file.StartRead(blocking, new byte[1]).Within)).IsTimeout);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(file.StartWait(blocking).Within)).IsTimeout);
            Assert.True(Assert.Throws<NetOpException>(() => file.TryRead(new byte[1], Files.ReadCall, out _)).IsTimeout);
            file.SetReadDeadline(null);
            Assert.Equal(1, await file.StartRead(blocking, new byte[1]).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_a_wait_and_takes_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            Func<CancellationToken, Task>[] operations =
            [
                token => file.ReadAsync(new byte[1], token).AsTask(),
                token => file.ReadAsync(new byte[1], Files.ReadCall, token).AsTask(),
                token => file.WaitReadableAsync(token).AsTask(),
            ];
            foreach (Func<CancellationToken, Task> start in operations)
            {
                using CancellationTokenSource cancel = new();
                Task waiting = start(cancel.Token);
                Assert.False(waiting.IsCompleted);
                await cancel.CancelAsync();
                OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.Within());
                Assert.Equal(cancel.Token, e.CancellationToken);
                Assert.True(start(cancel.Token).IsCanceled);
            }
            Assert.Equal(1, write.Write());
            Assert.Equal(1, await file.ReadAsync(new byte[1]).Within());
        }
    }
}
