using Poller.Abstractions;

namespace Poller.Net;

// The twin of splicePipe and its pool in Go's internal/poll/splice_linux.go. A copy has a pipe only while bytes are in it, so connections
// that are silent share the few pipes of those that are not. Go's pool is emptied by its garbage collector. This one is emptied when the
// last copy has ended.

/// <summary>A pipe that carries bytes from one socket to another. One thread at a time uses it.</summary>
internal sealed class SplicePipe(nint read, nint write)
{
    public nint ReadEnd => read;

    public nint WriteEnd => write;

    /// <summary>How many bytes are in it.</summary>
    public int Length { get; set; }
}

/// <summary>The pipes of the copies that run. Safe from any thread.</summary>
internal sealed class SplicePipes(ISocketApi api)
{
    // Arbitrary: a pipe beyond them costs four system calls when it is needed again. Each one takes two descriptors while it is idle.
    private const int MaxIdle = 8;

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly Stack<SplicePipe> _idle = [];
    private int _copies;

    public void BeginCopy()
    {
        lock (_lock) _copies++;
    }

    public void EndCopy()
    {
        lock (_lock)
        {
            if (--_copies > 0) return;
            while (_idle.TryPop(out SplicePipe? pipe)) Close(pipe);
        }
    }

    /// <summary>Takes an empty pipe. Returns 0, or why there is none.</summary>
    public IoResult Rent(out SplicePipe? pipe)
    {
        lock (_lock)
        {
            if (_idle.TryPop(out pipe)) return 0;
        }
        IoResult made = api.Pipe(out nint read, out nint write);
        if (!made.IsSuccess) return made;
        pipe = new SplicePipe(read, write);
        if (Math.Max(read, write) < api.MaxDescriptors - DescriptorReserve.Size) return 0;
        Close(pipe);
        pipe = null;
        return Errno.EMFILE;
    }

    /// <summary>Gives a pipe back. One with bytes in it is closed.</summary>
    public void Return(SplicePipe pipe)
    {
        lock (_lock)
        {
            if (pipe.Length == 0 && _idle.Count < MaxIdle)
            {
                _idle.Push(pipe);
                return;
            }
        }
        Close(pipe);
    }

    private void Close(SplicePipe pipe)
    {
        api.Close(pipe.ReadEnd);
        api.Close(pipe.WriteEnd);
    }
}
