using System.Buffers.Binary;
using Poller.Abstractions;

namespace SideBySide;

/// <summary>
/// Sends as fast as the sockets take it, over new connections in each run, and then ends them. The server answers each with the number of
/// bytes that it has read. The run lasts until the last answer has come, so bytes in buffers do not count before they have arrived.
/// </summary>
internal sealed class StreamGenerator(Load load, int port) : LoadGenerator(load, port)
{
    private const byte Sink = 0xFC;
    private const int Turns = 16; // The number of chunks on each connection between two polls.

    private sealed class Pipe(int fd)
    {
        public readonly int Fd = fd;
        public readonly byte[] Answer = new byte[sizeof(long)];
        public long Sent;
        public int Received;
        public bool Full;
    }

    // Touched only by the thread that runs the load.
    private readonly List<Pipe> _pipes = [];

    public override LoadResult Run(TimeSpan window, double rate, CancellationToken cancel)
    {
        byte[] chunk = Message(0, 0, Load.Size).ToArray();
        chunk[0] = Sink;
        long start = Begin(), stop = start + (long)window.TotalNanoseconds;
        for (int i = 0; i < Load.Connections; i++)
        {
            _pipes.Add(new Pipe(LibC.Connect(Port)));
            Watch(_pipes[i].Fd, i);
        }

        while (Now() < stop || _pipes.Any(static pipe => pipe.Sent == 0))
        {
            foreach (Pipe pipe in _pipes) Send(pipe, chunk);
            bool full = _pipes.All(static pipe => pipe.Full);
            foreach (PollEvent ready in Poll(full ? -1 : 0, cancel))
            {
                if (ready.Readiness.HasFlag(PollReadiness.Writable)) _pipes[(int)ready.Token.Value].Full = false;
            }
        }

        foreach (Pipe pipe in _pipes) LibC.EndWriting(pipe.Fd);
        for (int left = _pipes.Count; left > 0;)
        {
            foreach (PollEvent ready in Poll(-1, cancel))
            {
                if (ready.Readiness.HasFlag(PollReadiness.Readable) && Counted(_pipes[(int)ready.Token.Value])) left--;
            }
        }
        TimeSpan elapsed = Since(start);

        long bytes = _pipes.Sum(static pipe => pipe.Sent);
        Close();
        return new LoadResult((double)bytes / Load.Size, bytes, elapsed, Latencies);
    }

    public override void Dispose()
    {
        Close();
        base.Dispose();
    }

    private void Close()
    {
        for (int i = 0; i < _pipes.Count; i++)
        {
            Unwatch(_pipes[i].Fd, i);
            LibC.Close(_pipes[i].Fd);
        }
        _pipes.Clear();
    }

    private static void Send(Pipe pipe, byte[] chunk)
    {
        for (int i = 0; i < Turns && !pipe.Full; i++)
        {
            int n = Check(LibC.Send(pipe.Fd, chunk.AsSpan((int)(pipe.Sent % chunk.Length))), "send");
            if (n > 0) pipe.Sent += n;
            else if (n == -LibC.EAGAIN) pipe.Full = true;
        }
    }

    // True if the server's count has come and is right.
    private static bool Counted(Pipe pipe)
    {
        while (pipe.Received < pipe.Answer.Length)
        {
            int n = Check(LibC.Receive(pipe.Fd, pipe.Answer.AsSpan(pipe.Received)), "receive the count");
            if (n == -LibC.EINTR) continue;
            if (n == -LibC.EAGAIN) return false;
            pipe.Received += n;
            if (pipe.Received < pipe.Answer.Length) continue;
            long counted = BinaryPrimitives.ReadInt64LittleEndian(pipe.Answer);
            if (counted == pipe.Sent) return true;
            throw new InvalidDataException($"the server counted {counted} bytes; {pipe.Sent} were sent.");
        }
        return false;
    }
}
