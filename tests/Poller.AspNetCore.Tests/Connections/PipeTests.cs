using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;

namespace Poller.AspNetCore.Tests;

/// <summary>The contract of a connection's PipeReader and PipeWriter.</summary>
public abstract class PipeTests<TTransport>(SharedTransport<TTransport> shared) : PairTests<TTransport>(shared)
    where TTransport : ITestTransport
{
    [Fact]
    public async Task A_long_message_that_is_awaited_whole_is_one_buffer_of_many_segments()
    {
        const int Length = 500_000;
        Task sending = Client.SendAsync(Pattern.Of(Length));
        ReadResult read = await Input.ReadAtLeastAsync(Length).Within();
        Assert.True(read.Buffer.ToArray().AsSpan().SequenceEqual(Pattern.Of(Length)));
        Input.AdvanceTo(read.Buffer.End);
        await sending;
    }

    [Fact]
    public async Task A_message_that_is_consumed_in_small_steps_comes_in_order()
    {
        const int Length = 100_000;
        Task sending = Client.SendAsync(Pattern.Of(Length));
        for (int done = 0; done < Length;)
        {
            ReadResult read = await Input.ReadAsync().Within();
            int step = (int)Math.Min(read.Buffer.Length, 777);
            Assert.True(read.Buffer.Slice(0, step).ToArray().AsSpan().SequenceEqual(Pattern.From(done, step).Span));
            Input.AdvanceTo(read.Buffer.GetPosition(step));
            done += step;
        }
        await sending;
    }

    [Fact]
    public async Task A_read_that_was_cancelled_before_it_began_returns_at_once_and_loses_nothing()
    {
        Input.CancelPendingRead();
        ReadResult read = await Input.ReadAsync().Within();
        Assert.True(read.IsCanceled);
        Input.AdvanceTo(read.Buffer.Start);
        await Client.SendAsync("data");
        read = await Input.ReadAtLeastAsync(4).Within();
        Assert.False(read.IsCanceled);
        Assert.Equal("data", Encoding.ASCII.GetString(read.Buffer));
        Input.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task The_end_is_told_again_and_again_with_what_was_not_consumed()
    {
        await Client.SendAsync("rest");
        Client.EndSending();
        ReadResult read;
        while (!(read = await Input.ReadAsync().Within()).IsCompleted) Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        Assert.Equal("rest", Encoding.ASCII.GetString(read.Buffer));
        Input.AdvanceTo(read.Buffer.GetPosition(1), read.Buffer.End);
        for (int i = 0; i < 2; i++)
        {
            read = await Input.ReadAsync().Within();
            Assert.True(read.IsCompleted);
            Assert.Equal("est", Encoding.ASCII.GetString(read.Buffer));
            Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
        Assert.True(Input.TryRead(out read));
        Assert.True(read.IsCompleted);
        Input.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task A_reader_that_was_completed_cannot_read()
    {
        await Input.CompleteAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => Input.ReadAsync().Within());
        Assert.Throws<InvalidOperationException>(() => Input.TryRead(out _));
    }

    [Fact]
    public async Task An_input_that_is_completed_leaves_the_output_usable()
    {
        await Input.CompleteAsync();
        await Output.WriteAsync("still here"u8.ToArray()).Within();
        Assert.Equal("still here", await Client.ReadTextAsync(10));
    }

    [Theory, InlineData(0), InlineData(1), InlineData(4096), InlineData(100_000)]
    public void Memory_of_the_size_that_was_asked_for_is_given(int size)
    {
        Assert.InRange(Output.GetMemory(size).Length, Math.Max(1, size), int.MaxValue);
        Assert.InRange(Output.GetSpan(size).Length, Math.Max(1, size), int.MaxValue);
    }

    [Fact]
    public async Task More_cannot_be_written_than_there_is_memory_for()
    {
        int length = Output.GetMemory(10).Length;
        Assert.Throws<ArgumentOutOfRangeException>(() => Output.Advance(length + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Output.Advance(-1));
        Output.Advance(0);
        Assert.False((await Output.FlushAsync().Within()).IsCompleted);
    }

    [Fact]
    public async Task What_was_not_flushed_is_counted_and_not_sent()
    {
        Assert.True(Output.CanGetUnflushedBytes);
        "first "u8.CopyTo(Output.GetSpan(6));
        Output.Advance(6);
        Assert.Equal(6, Output.UnflushedBytes);
        "second"u8.CopyTo(Output.GetSpan(6));
        Output.Advance(6);
        Assert.Equal(12, Output.UnflushedBytes);
        Assert.False(Client.Socket.Poll(TimeSpan.FromMilliseconds(20), SelectMode.SelectRead));
        await Output.FlushAsync().Within();
        Assert.Equal(0, Output.UnflushedBytes);
        Assert.Equal("first second", await Client.ReadTextAsync(12));
    }

    [Fact]
    public async Task What_was_not_flushed_is_sent_when_the_output_is_completed()
    {
        "not flushed"u8.CopyTo(Output.GetSpan(11));
        Output.Advance(11);
        await Output.CompleteAsync();
        Assert.Equal((End.Graceful, 11), await Client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_writer_that_was_completed_cannot_write()
    {
        await Output.CompleteAsync();
        Assert.Throws<InvalidOperationException>(() => Output.GetMemory());
        await Output.CompleteAsync(); // Twice is once.
    }

    [Fact]
    public async Task An_output_that_is_completed_with_an_error_resets()
    {
        await Output.CompleteAsync(new InvalidOperationException("the app fails"));
        Assert.Equal((End.Reset, 0), await Client.ReadToEndAsync());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_flush_that_is_cancelled_loses_and_doubles_nothing(bool byToken)
    {
        using CancellationTokenSource cancellation = new();
        long written = 0;
        Task<FlushResult> flushing;
        do
        {
            ReadOnlyMemory<byte> part = Pattern.From(written);
            part.CopyTo(Output.GetMemory(part.Length));
            Output.Advance(part.Length);
            written += part.Length;
            flushing = Output.FlushAsync(cancellation.Token).AsTask();
        }
        while (!await flushing.WaitsForRoomAsync(Connection));
        if (byToken)
        {
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flushing.Within());
        }
        else
        {
            Output.CancelPendingFlush();
            Assert.True((await flushing.Within()).IsCanceled);
        }
        Pattern.From(written, 1000).CopyTo(Output.GetMemory(1000));
        Output.Advance(1000);
        written += 1000;
        Task completing = Output.CompleteAsync().AsTask();
        Assert.Equal(written, await Pattern.CheckAsync(new NetworkStream(Client.Socket)).Within());
        await completing.Within();
    }

    [Fact]
    public async Task A_flush_that_was_cancelled_before_it_began_returns_at_once_and_loses_nothing()
    {
        Output.CancelPendingFlush();
        Assert.True((await Output.WriteAsync("one "u8.ToArray()).Within()).IsCanceled);
        Assert.False((await Output.WriteAsync("two"u8.ToArray()).Within()).IsCanceled);
        Assert.Equal("one two", await Client.ReadTextAsync(7));
    }

    [Fact]
    public async Task One_write_of_many_megabytes_arrives_whole()
    {
        const int Length = 16 * 1024 * 1024;
        Task writing = Output.WriteAsync(Pattern.Of(Length)).AsTask();
        long received = 0;
        byte[] buffer = new byte[Length];
        while (received < Length) received += await Client.ReadAsync(buffer.AsMemory((int)received));
        Assert.True(buffer.AsSpan().SequenceEqual(Pattern.Of(Length)));
        await writing.Within();
    }

    [Fact]
    public async Task An_output_may_be_written_from_one_thread_and_flushed_from_another()
    {
        for (int i = 0; i < 100; i++)
        {
            await Task.Run(() =>
            {
                "abcd"u8.CopyTo(Output.GetSpan(4));
                Output.Advance(4);
            });
            await Task.Run(async () => await Output.FlushAsync());
            Assert.Equal("abcd", await Client.ReadTextAsync(4));
        }
    }
}
