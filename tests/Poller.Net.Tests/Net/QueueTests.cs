namespace Poller.Net.Tests;

/// <summary>Operations of one direction take turns, in the order they came.</summary>
public abstract class QueueTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Writes_that_nobody_awaits_are_sent_in_order(NetpollDispatch dispatch)
    {
        const int Big = 32 << 20; // More than the socket's buffers hold: it parks.
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] received = new byte[Big + 3];
        for (int round = 0; round < 4; round++)
        {
            Task first = server.WriteAsync(new byte[Big]).AsTask();
            Assert.False(first.IsCompleted);
            Task second = server.WriteAsync(new byte[] { 2 }).AsTask();
            Task third = server.WriteAsync(new byte[] { 3 }).AsTask();
            Task fourth = FourthAsync(first);
            await client.ReadExactlyAsync(received).Within();
            await Task.WhenAll(second, third, fourth).Within();
            Assert.Equal([2, 3, 4], received[Big..]);
        }

        // The awaiter of the first write writes again, and queues behind the others.
        async Task FourthAsync(Task first)
        {
            await first.ConfigureAwait(false);
            await server.WriteAsync(new byte[] { 4 }).ConfigureAwait(false);
        }
    }

    [Fact]
    public async Task A_reader_that_is_interrupted_in_the_queue_leaves_the_others_their_turns()
    {
        const int Rounds = 200;
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await Operation.OnOwnThread(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                Operation<int>[] readers = [.. Enumerable.Range(0, 3).Select(_ => new Operation<int>(server.ReadByte).Waiting())];

                // The first thread holds the lock. The second is interrupted while it queues, or when it has just got the lock.
                Worker interrupter = Worker.Start(readers[1].Interrupt);
                client.Write([1]);
                client.Write([2, 3]);
                interrupter.Join();
                int bytes = readers.Count(reader => HasRead(reader, round));

                byte[] rest = new byte[3 - bytes];
                Task reading = Operation.OnOwnThread(() => server.ReadExactly(rest));
                Task.WaitAny([reading], Fixture.Patience);
                Assert.True(reading.IsCompletedSuccessfully, $"bytes are missing in round {round}.");
            }
        }); // Each round has its own limit, because a busy machine is slow to start their threads.

        static bool HasRead(Operation<int> reader, int round)
        {
            Assert.True(Task.WaitAny([reader.Task], Fixture.Patience) == 0, $"a reader hangs in round {round}.");
            if (reader.Task.IsCompletedSuccessfully) return true;
            Assert.IsType<ThreadInterruptedException>(reader.Task.Exception!.InnerException); // Another reader gets its byte.
            return false;
        }
    }
}
