using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>The wait-only form: every wait is level-triggered, whatever the backend is.</summary>
public abstract class FileWaitTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_library_that_takes_one_record_of_two_is_woken_for_the_other(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            for (int i = 0; i < 3; i++)
            {
                Operation<bool> waiting = file.StartWait(blocking).Waiting();
                Assert.Equal(8, write.Write(8)); // Two records, one edge.
                await waiting.Within();
                Assert.Equal(4, read.Read(4));
                await file.StartWait(blocking).Within();
                await file.StartWait(blocking).Within();
                Assert.Equal(4, read.Read(4));
            }
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Readiness_of_bytes_that_were_read_elsewhere_ends_no_wait(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            Assert.Equal(4, write.Write(4));
            await file.StartWait(blocking).Within();
            Assert.Equal(2, write.Write(2));
            Assert.Equal(6, read.Drain());
            Operation<bool> waiting = file.StartWait(blocking).Waiting();
            (TcpConn, TcpConn) other = await fixture.PairAsync();
            await Tests.Fixture.PassAsync(other); // The loop has seen the readiness of the last write.
            Assert.False(waiting.Task.IsCompleted);
            Assert.Equal(1, write.Write());
            await waiting.Within();
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_wait_to_write_ends_while_there_is_room(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(write))
        {
            await file.StartWait(blocking, PollMode.Write).Within();
            await file.StartWait(blocking, PollMode.Write).Within();
            for (int i = 0; i < 3; i++)
            {
                write.Fill();
                Operation<bool> waiting = file.StartWait(blocking, PollMode.Write).Waiting();
                read.Drain();
                await waiting.Within();
                await file.StartWait(blocking, PollMode.Write).Within();
            }
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_end_and_an_error_end_a_wait(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (PolledFile file = fixture.Polled(read))
        {
            Operation<bool> waiting = file.StartWait(blocking).Waiting();
            write.Dispose();
            await waiting.Within();
            await file.StartWait(blocking).Within();
        }
        (read, write) = Fd.Pipe();
        using (write)
        using (PolledFile file = fixture.Polled(write))
        {
            write.Fill();
            Operation<bool> waiting = file.StartWait(blocking, PollMode.Write).Waiting();
            read.Dispose();
            await waiting.Within();
            await file.StartWait(blocking, PollMode.Write).Within();
        }
    }

    [Fact]
    public async Task A_wait_races_with_a_library_that_reads_and_is_never_lost()
    {
        using Fixture fixture = new();
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (PolledFile file = fixture.Polled(read))
        {
            const int Records = 20_000;
            Task writing = Operation.OnOwnThread(() =>
            {
                Random random = new(2);
                for (int i = 0; i < Records; i++)
                {
                    while (write.Write() < 0) Thread.Yield();
                    if (random.Next(8) == 0) Thread.Yield();
                }
            });
            int taken = 0;
            while (taken < Records)
            {
                await file.WaitReadableAsync().Within();
                Assert.Equal(1, read.Read(1)); // One record, however many there are.
                taken++;
            }
            await writing.Within();
        }
    }
}
