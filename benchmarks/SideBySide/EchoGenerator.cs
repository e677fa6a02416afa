using Poller.Abstractions;

namespace SideBySide;

/// <summary>
/// Sends messages and reads them back, one at a time on each connection. In a closed loop the next message goes when the answer has come,
/// or after a pause. At a fixed rate, message <c>i</c> is due at <c>i / rate</c> on connection <c>i</c> modulo the number of connections.
/// If that connection is busy, the message goes late, but its latency still counts from when it was due. So a server that stalls does not
/// slow down the clock that measures it.
/// </summary>
internal sealed class EchoGenerator(Load load, int port) : LoadGenerator(load, port)
{
    private const int Batch = 500; // Fewer than a listener's backlog holds.
    private const long Spin = 60_000; // In ns. Below it we spin, because sleeping is not exact enough.

    // Constant.
    private readonly byte[] _buffer = new byte[load.Size];
    private readonly byte[] _work = new byte[load.Size];

    // Touched only by the thread that runs the load.
    private readonly List<Client> _clients = [];
    private readonly Queue<Client> _pausing = new();
    private int _active;
    private int _under;
    private long _messages;
    private long _completed;
    private long _stop;
    private long _start;
    private double _interval;
    private long _due; // At a fixed rate: the number of messages that are due so far.
    private long _total;

    /// <summary>A connection and its current message.</summary>
    private sealed class Client(int fd, int index)
    {
        public readonly int Fd = fd;
        public readonly int Index = index;
        public long Number; // The message's number since the connection was made.
        public long Turn; // The message's number in this run.
        public long Started;
        public int Sent;
        public int Received;
        public bool Busy;
        public bool Works;
    }

    public override void Connect(CancellationToken cancel)
    {
        Open(Load.Connections, cancel);
        _active = _clients.Count;
    }

    public override void ConnectIdle(CancellationToken cancel) => Open(Load.Idle, cancel);

    public override LoadResult Run(TimeSpan window, double rate, CancellationToken cancel)
    {
        LoadResult result = Run(0, _active, window, rate, cancel);
        for (int i = _active; i < _clients.Count; i++)
        {
            int n = LibC.Receive(_clients[i].Fd, _buffer, LibC.MSG_PEEK);
            if (Check(n, "an idle connection") == -LibC.EAGAIN) continue;
            throw new InvalidDataException($"an idle connection was sent {n} bytes; none were expected.");
        }
        return result;
    }

    public override void Dispose()
    {
        foreach (Client client in _clients)
        {
            Unwatch(client.Fd, client.Index);
            LibC.Close(client.Fd);
        }
        base.Dispose();
    }

    private void Open(int count, CancellationToken cancel)
    {
        while (count > 0)
        {
            int first = _clients.Count, batch = Math.Min(count, Batch);
            for (int i = first; i < first + batch; i++)
            {
                Client client = new(LibC.Connect(Port), i);
                _clients.Add(client);
                Watch(client.Fd, i);
            }
            Run(first, batch, TimeSpan.Zero, 0, cancel);
            count -= batch;
        }
    }

    private LoadResult Run(int first, int count, TimeSpan window, double rate, CancellationToken cancel)
    {
        (_completed, _due) = (0, 0);
        _start = Begin();
        _stop = _start + (long)window.TotalNanoseconds;
        _total = rate > 0 ? (long)(rate * window.TotalSeconds) : 0;
        _interval = rate > 0 ? 1e9 / rate : 0;
        for (int i = first; i < first + count; i++)
        {
            _clients[i].Turn = 0;
            if (rate == 0) Start(_clients[i], Now());
        }

        while (_under > 0 || _pausing.Count > 0 || _due < _total)
        {
            StartWhatIsDue(Now());
            foreach (PollEvent ready in Poll(Delay(Now()), cancel))
            {
                Client client = _clients[(int)ready.Token.Value];
                if (client.Busy && client.Sent < Load.Size && ready.Readiness.HasFlag(PollReadiness.Writable)) Send(client);
                if (ready.Readiness.HasFlag(PollReadiness.Readable)) Receive(client);
            }
        }
        return new LoadResult(_completed, 2 * _completed * Load.Size, Since(_start), Latencies);
    }

    // The time until a message is due; below zero if only an answer can come next.
    private long Delay(long now)
    {
        long next = _due < _total ? DueAt(_due) : _pausing.TryPeek(out Client? client) ? client.Started : 0;
        return next == 0 ? -1 : next - now > Spin ? next - now - Spin : 0;
    }

    private void StartWhatIsDue(long now)
    {
        while (_pausing.TryPeek(out Client? client) && client.Started <= now)
        {
            _pausing.Dequeue();
            Start(client, now);
        }
        for (; _due < _total && DueAt(_due) <= now; _due++)
        {
            Client client = _clients[(int)(_due % _active)];
            if (!client.Busy && client.Turn * _active + client.Index == _due) Start(client, DueAt(_due));
        }
    }

    private long DueAt(long message) => _start + (long)(message * _interval);

    private void Start(Client client, long started)
    {
        client.Works = Load.Every > 0 && ++_messages % Load.Every == 0;
        client.Started = started;
        client.Number++;
        client.Turn++;
        (client.Sent, client.Received, client.Busy) = (0, 0, true);
        _under++;
        Send(client);
    }

    private ReadOnlySpan<byte> MessageOf(Client client)
    {
        ReadOnlySpan<byte> message = Message(client.Index, client.Number, Load.Size);
        if (!client.Works) return message;
        message.CopyTo(_work);
        _work[0] = Load.Work;
        return _work;
    }

    private void Send(Client client)
    {
        ReadOnlySpan<byte> message = MessageOf(client);
        while (client.Sent < message.Length)
        {
            int n = Check(LibC.Send(client.Fd, message[client.Sent..]), "send");
            if (n > 0) client.Sent += n;
            else if (n == -LibC.EAGAIN) return;
        }
    }

    private void Receive(Client client)
    {
        while (client.Busy)
        {
            int wanted = Load.Size - client.Received;
            int n = Check(LibC.Receive(client.Fd, _buffer.AsSpan(0, wanted)), "receive");
            if (n == -LibC.EINTR) continue;
            if (n == -LibC.EAGAIN) return;
            Compare(_buffer.AsSpan(0, n), MessageOf(client)[client.Received..]);
            client.Received += n;
            if (client.Received == Load.Size) Complete(client);
            else if (n < wanted) return; // The socket is drained, so more bytes raise a new edge.
            if (client.Received == 0) return; // A new message went out, and its answer raises a new edge.
        }
    }

    private void Complete(Client client)
    {
        long now = Now();
        if (!client.Works) Latencies.RecordValue(now - client.Started);
        client.Busy = false;
        _completed++;
        _under--;
        if (_total > 0)
        {
            long next = client.Turn * _active + client.Index;
            if (next < _due) Start(client, DueAt(next));
        }
        else if (now < _stop)
        {
            if (Load.Pause == TimeSpan.Zero)
            {
                Start(client, now);
                return;
            }
            client.Started = now + (long)Load.Pause.TotalNanoseconds;
            _pausing.Enqueue(client);
        }
    }
}
