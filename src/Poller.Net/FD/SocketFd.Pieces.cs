using Poller.Abstractions;

namespace Poller.Net;

// The twin of FD.Writev in Go's internal/poll/writev.go, and the same for reads.
internal abstract partial class SocketFd
{
    /// <summary>Sends all pieces, in as few calls as their number allows. A socket of messages sends them as one message.</summary>
    public ValueTask WriteAsync(Pieces pieces, CancellationToken token)
    {
        PiecesAttempt attempt = new(Kind.Write, pieces);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="WriteAsync(Pieces, CancellationToken)"/>.</summary>
    public void Write(Pieces pieces)
    {
        PiecesAttempt attempt = new(Kind.Write, pieces);
        Run<PiecesAttempt, int>(Direction.Write, ref attempt);
    }

    /// <summary>Reads into the pieces, by one call.</summary>
    public ValueTask<int> ReadAsync(Pieces pieces, CancellationToken token)
    {
        PiecesAttempt attempt = new(Kind.Read, pieces);
        return StartAsync<PiecesAttempt, int>(Direction.Read, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="ReadAsync(Pieces, CancellationToken)"/>.</summary>
    public int Read(Pieces pieces)
    {
        PiecesAttempt attempt = new(Kind.Read, pieces);
        return Run<PiecesAttempt, int>(Direction.Read, ref attempt);
    }

    private IoResult Receive(ref Pieces pieces)
    {
        if (!pieces.TryFind()) return Receive(Span<byte>.Empty);
        if (_drained.BeforeTry(HangupSeen)) return Errno.EAGAIN;
        IoResult result;
        int asked;
        do
        {
            result = PinnedBuffers.Receive(Api, Fd, pieces, out asked);
        }
        while (result == Errno.EINTR);
        if (_network.ShortReadDrains) _drained.AfterRead(result, asked);
        NoteBytes(Direction.Read, result);
        return result;
    }

    private IoResult Send(ref Pieces pieces)
    {
        bool isMessage = !_network.IsStream;
        while (isMessage || pieces.TryFind())
        {
            IoResult result = PinnedBuffers.Send(Api, Fd, pieces, isMessage);
            NoteBytes(Direction.Write, result);
            if (result.IsSuccess) pieces.Advance(result.Value);
            if (result.IsSuccess ? isMessage : result != Errno.EINTR) return result;
        }
        return 0;
    }

    /// <summary>A scattered read or a gathered write. It keeps the pieces that are left.</summary>
    private struct PiecesAttempt(Kind kind, Pieces pieces) : IAttempt<int>
    {
        private Pieces _pieces = pieces;

        public int Result { get; private set; }

        public readonly string Name => NameOf(kind);

        public IoResult Try(PollFd fd)
        {
            SocketFd socket = (SocketFd)fd;
            IoResult result = kind == Kind.Read ? socket.Receive(ref _pieces) : socket.Send(ref _pieces);
            if (result.IsSuccess) Result = result.Value;
            return result;
        }

        public void Release() => _pieces = default;
    }
}
