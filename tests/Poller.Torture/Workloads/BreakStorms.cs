using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Idle connections whose deadlines move and whose reads are cancelled as fast as threads can do it: each may break the loop's poll. After
/// that a byte passes through each connection.
/// </summary>
internal sealed class BreakStorms(Torture torture) : Workload(torture)
{
    private const int Pairs = 16;

    protected override int Workers => 4;

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        activity.Awaits("its connections");
        List<Idle> idle = [];
        try
        {
            using TcpConnListener listener = Torture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
            for (int i = 0; i < Pairs; i++)
            {
                TcpConn client = await Torture.Net.DialTcpAsync(listener.LocalEndPoint);
                idle.Add(new Idle(Torture, client, await listener.AcceptTcpAsync()));
                Torture.Figures.Add(Figure.Connections);
            }
        }
        catch (NetOpException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
        {
            await Torture.DelayAsync(TimeSpan.FromMilliseconds(50));
        }
        activity.Awaits("the storm");
        await Torture.Descriptors.OnOwnThreadAsync(() =>
        {
            long start = Stopwatch.GetTimestamp();
            TimeSpan length = TimeSpan.FromMilliseconds(plan.Next(5, 50));
            for (int i = 0; idle.Count > 0 && Stopwatch.GetElapsedTime(start) < length; i++) idle[plan.Next(idle.Count)].Disturb(plan, i);
        });
        foreach (Idle one in idle)
        {
            activity.Awaits("a byte after the storm");
            await one.PassAsync();
            one.Dispose();
        }
        await Torture.DelayAsync(TimeSpan.FromMilliseconds(plan.Next(200)));
    }

    /// <summary>A connection with a read that waits.</summary>
    private sealed class Idle : IDisposable
    {
        private readonly Torture _torture;
        private readonly TcpConn _client;
        private readonly TcpConn _server;
        private readonly byte[] _buffer = new byte[1];
        private CancellationTokenSource _source = new();
        private Task<int> _read;

        public Idle(Torture torture, TcpConn client, TcpConn server)
        {
            _torture = torture;
            _client = client;
            _server = server;
            _read = _client.ReadAsync(_buffer, _source.Token).AsTask();
        }

        public void Disturb(Random plan, int step)
        {
            switch (plan.Next(8))
            {
                case 0:
                    _source.Cancel();
                    ReadAgain();
                    break;
                case 1:
                    _client.SetReadDeadline(TimeSpan.Zero);
                    ReadAgain();
                    break;
                case 2:
                    _client.SetReadDeadline(Timeout.InfiniteTimeSpan);
                    break;
                case 3:
                    _client.SetReadDeadline(TimeSpan.FromMicroseconds(plan.Next(500)));
                    break;
                default:
                    // Earlier than all before, so it breaks a poll that sleeps.
                    _client.SetReadDeadline(TimeSpan.FromHours(1) - TimeSpan.FromMilliseconds(step));
                    break;
            }
        }

        public async Task PassAsync()
        {
            _client.SetReadDeadline(Timeout.InfiniteTimeSpan);
            if (_read.IsCompleted) ReadAgain();
            await _server.WriteAsync(new byte[] { 7 });
            try
            {
                await Check(_read);
            }
            catch (NetOpException e) when (e.IsTimeout)
            {
                // A deadline had ended it before it was moved away.
                _torture.Figures.Add(Figure.Deadlines);
                await Check(_client.ReadAsync(_buffer).AsTask());
            }

            async Task Check(Task<int> read)
            {
                if (await read != 1 || _buffer[0] != 7) throw new InvalidDataException($"a read after the storm got {_buffer[0]}");
            }
        }

        public void Dispose()
        {
            _client.Dispose();
            _server.Dispose();
        }

        // Ends the read, which nobody has sent a byte to, and begins the next.
        private void ReadAgain()
        {
            try
            {
                int count = _read.GetAwaiter().GetResult();
                throw new InvalidDataException($"a read of nothing got {count} bytes");
            }
            catch (NetOpException e) when (e.IsTimeout)
            {
                _torture.Figures.Add(Figure.Deadlines);
                _client.SetReadDeadline(Timeout.InfiniteTimeSpan);
            }
            catch (OperationCanceledException)
            {
                _torture.Figures.Add(Figure.Cancellations);
            }
            _source = new CancellationTokenSource();
            _read = _client.ReadAsync(_buffer, _source.Token).AsTask();
        }
    }
}
