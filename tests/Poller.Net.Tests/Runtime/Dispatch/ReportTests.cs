using System.Net;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>What the poller does with errors that no caller can be told.</summary>
[Collection(nameof(Alone))]
public abstract class ReportTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_continuation_that_throws_does_not_end_the_loop(NetpollDispatch dispatch)
    {
        CapturingLogger log = new();
        using Netpoller poller = new(TBackend.Factory, new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpConn client = net.DialTcp((IPEndPoint)listener.LocalEndPoint);
        using TcpConn server = listener.AcceptTcp();
        byte[] buffer = new byte[1];

        // Attach the continuation directly, because an async method would catch the exception.
        Then(server.ReadAsync(buffer), () => throw new InvalidDataException("thrown by a continuation"));
        client.Write(One);
        await log.Logged.WaitAsync(Fixture.Patience);
        Assert.IsType<InvalidDataException>(log.Exception);
        await Assert.ThrowsAsync<InvalidDataException>(() => ThrowingHandlerAsync(server, client)).WaitAsync(Fixture.Patience);

        ValueTask<int> read = server.ReadAsync(buffer);
        await client.WriteAsync(One); // A blocking write is refused on the loop's own thread, where this goes on.
        Assert.Equal(1, await read.AsTask().WaitAsync(Fixture.Patience));

        static async Task ThrowingHandlerAsync(TcpConn server, TcpConn client)
        {
            ValueTask<int> read = server.ReadAsync(new byte[1]);
            await client.WriteAsync(One);
            await read.ConfigureAwait(false);
            throw new InvalidDataException();
        }
    }

    [Fact]
    public async Task A_logger_that_throws_does_not_end_the_loop()
    {
        using Netpoller poller = new(TBackend.Factory, new NetpollerOptions { LoggerFactory = new CapturingLogger { Fails = true } });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpConn client = net.DialTcp(listener.LocalEndPoint);
        using TcpConn server = listener.AcceptTcp();
        Then(server.ReadAsync(new byte[1]), () => throw new InvalidDataException("thrown by a continuation"));
        client.Write(One);
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        client.Write(One);
        Assert.Equal(1, await read.WaitAsync(Fixture.Patience));
    }

    [Fact]
    public async Task A_report_to_a_standard_error_stream_that_fails_does_not_end_the_loop()
    {
        TextWriter before = Console.Error;
        using FailingWriter failing = new();
        Console.SetError(failing);
        try
        {
            using Fixture fixture = new();
            (TcpConn client, TcpConn server) = await fixture.PairAsync();
            Then(server.ReadAsync(new byte[1]), () => throw new InvalidDataException("thrown by a continuation"));
            client.Write(One);
            await failing.Failed.WaitAsync(Fixture.Patience);
            ValueTask<int> read = server.ReadAsync(new byte[1]);
            client.Write(One);
            Assert.Equal(1, await read.Within());
            await fixture.Poller.DisposeAsync();
            Assert.Equal(1, fixture.Poller.Statistics.DroppedReports);
        }
        finally
        {
            Console.SetError(before);
        }
    }

    [Fact]
    public async Task A_report_that_the_logger_throws_at_goes_to_the_standard_error_stream()
    {
        TextWriter before = Console.Error;
        using StringWriter written = new();
        Console.SetError(written);
        try
        {
            Reports reports = new(new CapturingLogger { Fails = true });
            reports.Start();
            reports.Error("continuation", new InvalidDataException("thrown by a continuation"));
            reports.Stop();
            await reports.Ended.WaitAsync(Fixture.Patience);
            string text = written.ToString();
            Assert.Contains("poller: the logger threw: System.InvalidOperationException: the logger fails", text, StringComparison.Ordinal);
            Assert.Contains("poller: continuation: System.IO.InvalidDataException: thrown by", text, StringComparison.Ordinal);
            Assert.Equal(0, reports.Dropped);
        }
        finally
        {
            Console.SetError(before);
        }
    }

    [Fact]
    public async Task A_logger_that_blocks_holds_up_nobody_and_what_finds_no_room_is_counted_and_told()
    {
        const int Many = 1_000;
        using ManualResetEventSlim release = new();
        CapturingLogger log = new() { OnLog = () => release.Wait() };
        Reports reports = new(log);
        reports.Start();
        reports.Warn("first");
        await log.Logged.WaitAsync(Fixture.Patience); // It is in the logger now.
        for (int i = 0; i < Many; i++) reports.Warn($"{i}");
        long dropped = reports.Dropped;
        Assert.InRange(dropped, 1, Many - 1);
        release.Set();
        reports.Stop();
        await reports.Ended.WaitAsync(Fixture.Patience);
        string[] texts = [.. log.Entries.Select(static entry => entry.Text)];
        Assert.Single(texts, $"{dropped} reports were dropped before this one: the logger or the standard error stream did not take them.");
        Assert.Equal(1 + Many - dropped + 1, texts.Length);
    }

    // The standard error stream of a full device does the same: its first use, which writes nothing, succeeds.
    private sealed class FailingWriter : StringWriter
    {
        private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Failed => _failed.Task;

        public override void Write(string? value)
        {
            if (value == "") return;
            _failed.TrySetResult();
            throw new IOException("no space left on device");
        }

        public override void WriteLine(string? value) => Write(value);
    }
}
