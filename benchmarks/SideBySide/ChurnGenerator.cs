using Poller.Abstractions;

namespace SideBySide;

/// <summary>Connects, sends one message, reads it back and closes, many at a time. The latency covers all four steps.</summary>
internal sealed class ChurnGenerator(Load load, int port) : LoadGenerator(load, port)
{
    // The port of a closed connection is blocked for a minute, so the clients use several addresses.
    private const int Addresses = 64;

    // Constant.
    private readonly byte[] _buffer = new byte[load.Size];

    // Touched only by the thread that runs the load.
    private readonly Visit[] _visits = new Visit[load.Connections];
    private long _number;

    private struct Visit
    {
        public int Fd;
        public long Number;
        public long Started;
        public int Received;
        public bool Here;
    }

    public override LoadResult Run(TimeSpan window, double rate, CancellationToken cancel)
    {
        long start = Begin(), stop = start + (long)window.TotalNanoseconds, completed = 0;
        for (int i = 0; i < _visits.Length; i++) Enter(i);

        for (int under = _visits.Length; under > 0;)
        {
            foreach (PollEvent ready in Poll(-1, cancel))
            {
                int index = (int)ready.Token.Value;
                if (!ready.Readiness.HasFlag(PollReadiness.Readable) || !Answered(ref _visits[index])) continue;
                Leave(index);
                long now = Now();
                Latencies.RecordValue(now - _visits[index].Started);
                completed++;
                if (now < stop) Enter(index);
                else under--;
            }
        }
        return new LoadResult(completed, 2 * completed * Load.Size, Since(start), Latencies);
    }

    public override void Dispose()
    {
        for (int i = 0; i < _visits.Length; i++)
        {
            if (_visits[i].Here) Leave(i);
        }
        base.Dispose();
    }

    private void Enter(int index)
    {
        long number = _number++;
        ref Visit visit = ref _visits[index];
        long started = Now();
        visit = new Visit { Started = started, Number = number, Fd = LibC.Connect(Port, from: (int)(number % Addresses) + 1), Here = true };
        Watch(visit.Fd, index);
        int n = LibC.Send(visit.Fd, Message(0, number, Load.Size));
        if (n != Load.Size) throw new InvalidDataException($"send on a new connection: {n}; {Load.Size} was expected.");
    }

    private void Leave(int index)
    {
        _visits[index].Here = false;
        Unwatch(_visits[index].Fd, index);
        LibC.Close(_visits[index].Fd);
    }

    private bool Answered(ref Visit visit)
    {
        while (visit.Received < Load.Size)
        {
            int n = Check(LibC.Receive(visit.Fd, _buffer.AsSpan(visit.Received)), "receive");
            if (n == -LibC.EINTR) continue;
            if (n == -LibC.EAGAIN) return false;
            Compare(_buffer.AsSpan(visit.Received, n), Message(0, visit.Number, Load.Size)[visit.Received..]);
            visit.Received += n;
        }
        return true;
    }
}
