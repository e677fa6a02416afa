using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of the loop over iovecs in Go's internal/poll/writev.go. Each frame of the recursion pins four pieces by `fixed`, which costs a
// slot of the stack and nothing else. A handle for each piece (Memory.Pin) took three times as long in all. Whatever a buffer's owner
// throws unwinds the frames, and so unpins all.

/// <summary>Gathered and scattered system calls. The buffers stay pinned while a call runs, and no longer.</summary>
internal static unsafe class PinnedBuffers
{
    /// <summary>IOV_MAX: how many pieces one call takes, on every system that we have (limits.h).</summary>
    public const int MaxPieces = 1024;

    /// <summary>How many pieces a call takes if little of the stack is left.</summary>
    private const int FewPieces = 16;

    private const int MaxLength = 1 << 30;

    /// <summary>One call, and what is pinned for it so far.</summary>
    private ref struct Call
    {
        public required ISocketApi Api;
        public required nint Fd;
        public required Pieces Pieces;
        public required Span<IoVector> Vectors;
        public bool Receives;
        public bool IsMessage;
        public int Count;
        public int Length;

        public ReadOnlySpan<byte> Next()
        {
            int room = MaxLength - Length;
            if (room == 0 || !Pieces.TryNext(out ReadOnlyMemory<byte> piece)) return default;
            int length = Math.Min(piece.Length, room);
            Length += length;
            return piece.Span[..length];
        }

        public void Add(byte* start, int length)
        {
            if (length > 0) Vectors[Count++] = new IoVector { Base = (nint)start, Length = length };
        }

        public IoResult Make()
        {
            ReadOnlySpan<IoVector> vectors = Vectors[..Count];
            if (Receives) return Api.ReceiveMessage(Fd, vectors, default, default, out _);

            if (IsMessage && Pieces.TryFind())
            {
                if (Vectors.Length < MaxPieces) throw new InsufficientExecutionStackException();
                return Errno.EMSGSIZE; // The kernel would answer so if it were given all of them.
            }
            return Api.SendMessage(Fd, vectors, default, default);
        }
    }

    /// <summary>sendmsg(2) of the first pieces, at most <see cref="MaxPieces"/>. A message goes out whole, or not at all.</summary>
    [SkipLocalsInit]
    public static IoResult Send(ISocketApi api, nint fd, in Pieces pieces, bool isMessage)
    {
        Span<IoVector> vectors = stackalloc IoVector[MaxPieces];
        Call call = new() { Api = api, Fd = fd, Pieces = pieces, Vectors = vectors[..Room], IsMessage = isMessage };
        return Pin(ref call);
    }

    /// <summary>
    /// recvmsg(2) into the first pieces, at most <see cref="MaxPieces"/>. <paramref name="asked"/> is how many bytes they take together.
    /// </summary>
    [SkipLocalsInit]
    public static IoResult Receive(ISocketApi api, nint fd, in Pieces pieces, out int asked)
    {
        Span<IoVector> vectors = stackalloc IoVector[MaxPieces];
        Call call = new() { Api = api, Fd = fd, Pieces = pieces, Vectors = vectors[..Room], Receives = true };
        IoResult result = Pin(ref call);
        asked = call.Length;
        return result;
    }

    // 256 frames take less than the 64 KiB that the runtime says are there.
    private static int Room => RuntimeHelpers.TryEnsureSufficientExecutionStack() ? MaxPieces : FewPieces;

    private static IoResult Pin(ref Call call)
    {
        if (call.Count == call.Vectors.Length) return call.Make();
        ReadOnlySpan<byte> first = call.Next();
        ReadOnlySpan<byte> second = call.Next();
        ReadOnlySpan<byte> third = call.Next();
        ReadOnlySpan<byte> fourth = call.Next();
        fixed (byte* a = first, b = second, c = third, d = fourth)
        {
            call.Add(a, first.Length);
            call.Add(b, second.Length);
            call.Add(c, third.Length);
            call.Add(d, fourth.Length);
            return fourth.IsEmpty ? call.Make() : Pin(ref call);
        }
    }
}
