using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Torture;

/// <summary>One end of a stream of bytes: what a <see cref="Flow"/> sends into or receives from.</summary>
internal interface IChannel
{
    /// <summary>Whether a write that was interrupted has written nothing. Otherwise it may have written a part.</summary>
    bool WritesExactly { get; }

    ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token);

    int Read(Memory<byte> buffer);

    /// <summary>Writes all or, if <see cref="WritesExactly"/>, what one call takes. Returns how much that was.</summary>
    ValueTask<int> WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token);

    int Write(ReadOnlyMemory<byte> buffer);

    /// <summary>What the system has to read, and what it has not sent. Safe at any time.</summary>
    string Describe();

    void SetDeadline(PollMode mode, TimeSpan fromNow);

    /// <summary>Bounds each operation of a direction by a time in ms.</summary>
    void SetTimeout(PollMode mode, int milliseconds);
}

/// <summary>
/// The bytes of writes that go out by sendfile(2). The system sends the file's own pages later, so no place of it is used twice, and when
/// it is full there are no more such writes. Safe from any thread.
/// </summary>
internal sealed class SentFile : IDisposable
{
    private const long Capacity = 64 << 20;

    private long _end;

    private SentFile(SafeFileHandle handle) => Handle = handle;

    public SafeFileHandle Handle { get; }

    public static SentFile Open() => new(File.OpenHandle(
        Path.GetTempFileName(), FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose));

    /// <summary>Puts bytes into the file; null if it is full.</summary>
    public long? TryPut(ReadOnlySpan<byte> bytes)
    {
        if (Volatile.Read(ref _end) > Capacity) return null;
        long offset = Interlocked.Add(ref _end, bytes.Length) - bytes.Length;
        RandomAccess.Write(Handle, bytes, offset);
        return offset;
    }

    public void Dispose() => Handle.Dispose();
}

/// <summary>A connection. Some of its writes are gathered or come from a file, and some of its reads are scattered.</summary>
internal sealed class ConnChannel(Conn conn, Random plan, SentFile? file = null) : IChannel
{
    private const int OneIn = 8; // So many reads wait before they have a buffer, so many are scattered, and so many writes are gathered.
    private const int OneFileIn = 32;

    public bool WritesExactly => false;

    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token)
    {
        if (plan.Next(OneIn) == 0) await conn.WaitToReadAsync(token);
        return plan.Next(OneIn) == 0 ? await conn.ReadAsync(Scattered(buffer), token) : await conn.ReadAsync(buffer, token);
    }

    public int Read(Memory<byte> buffer)
    {
        if (plan.Next(OneIn) == 0) conn.WaitToRead();
        return plan.Next(OneIn) == 0 ? conn.Read(Scattered(buffer)) : conn.Read(buffer.Span);
    }

    public async ValueTask<int> WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token)
    {
        if (InFile(buffer) is { } offset)
        {
            await ((TcpConn)conn).SendFileAsync(file!.Handle, offset, buffer.Length, cancellationToken: token);
        }
        else if (plan.Next(OneIn) == 0)
        {
            await conn.WriteAsync(Gathered(buffer), token);
        }
        else
        {
            await conn.WriteAsync(buffer, token);
        }
        return buffer.Length;
    }

    public int Write(ReadOnlyMemory<byte> buffer)
    {
        if (InFile(buffer) is { } offset) ((TcpConn)conn).SendFile(file!.Handle, offset, buffer.Length);
        else if (plan.Next(OneIn) == 0) conn.Write(Gathered(buffer));
        else conn.Write(buffer.Span);
        return buffer.Length;
    }

    public string Describe()
    {
        try
        {
            string queues = "";
            conn.Raw.Control(fd => queues = LibC.Queues(fd));
            return queues;
        }
        catch (Exception e) when (Ending.IsEnd(e))
        {
            return "closed";
        }
    }

    public void SetDeadline(PollMode mode, TimeSpan fromNow)
    {
        if (mode == PollMode.Read) conn.SetReadDeadline(fromNow);
        else conn.SetWriteDeadline(fromNow);
    }

    public void SetTimeout(PollMode mode, int milliseconds)
    {
        if (mode == PollMode.Read) conn.ReadTimeout = milliseconds;
        else conn.WriteTimeout = milliseconds;
    }

    private long? InFile(ReadOnlyMemory<byte> buffer) =>
        file is not null && plan.Next(OneFileIn) == 0 ? file.TryPut(buffer.Span) : null;

    private List<ReadOnlyMemory<byte>> Gathered(ReadOnlyMemory<byte> buffer)
    {
        List<ReadOnlyMemory<byte>> pieces = [];
        while (!buffer.IsEmpty)
        {
            int count = plan.Next(buffer.Length / 4, buffer.Length + 1); // Some are empty.
            pieces.Add(buffer[..count]);
            buffer = buffer[count..];
        }
        return pieces;
    }

    private Memory<byte>[] Scattered(Memory<byte> buffer)
    {
        int first = plan.Next(buffer.Length + 1);
        return [buffer[..first], buffer[first..]];
    }
}

/// <summary>How a <see cref="FileChannel"/> uses its file.</summary>
internal enum FileForm
{
    Bytes,
    Stream,

    /// <summary>Operations with a function, which makes one call.</summary>
    Function,

    /// <summary>Waits, and calls as a native library makes them: it may leave bytes unread.</summary>
    WaitOnly,
}

/// <summary>A <see cref="PolledFile"/>, which it may detach and open again between, or in the middle of, its reads.</summary>
internal sealed class FileChannel : IChannel
{
    private static readonly Func<nint, Memory<byte>, TryResult<int>> ReadCall = static (fd, buffer) =>
        ReadOnce(fd, buffer.Span) is var n && n == -Errno.EAGAIN.Number ? TryResult.WouldBlock : Descriptors.Check(n, "read");

    private static readonly Func<nint, ReadOnlyMemory<byte>, TryResult<int>> WriteCall = static (fd, buffer) =>
        Fd.Write(fd, buffer.Span) is var n && n == -Errno.EAGAIN.Number ? TryResult.WouldBlock : Descriptors.Check(n, "write");

    private const int PipeBuffer = 4096; // PIPE_BUF, Linux's.

    private readonly Torture _torture;
    private readonly SafeFileHandle _handle;
    private readonly PolledFileOptions _options;
    private readonly FileForm _form;
    private readonly Random _plan;
    private PolledFile _file;

    public FileChannel(Torture torture, SafeFileHandle handle, PolledFileOptions options, FileForm form, Random plan)
    {
        _torture = torture;
        _handle = handle;
        _options = options;
        _form = form;
        _plan = plan;
        _file = Open();
    }

    public PolledFile File => Volatile.Read(ref _file);

    /// <summary>Whether the reader, which is alone, gives the file up now and then.</summary>
    public bool Detaches { get; init; }

    /// <summary>Whether it reads from the master end of a terminal, which ends with EIO.</summary>
    public bool IsTerminal { get; init; }

    public bool WritesExactly => _form is FileForm.Function or FileForm.WaitOnly;

    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token)
    {
        while (true)
        {
            Task detached = DetachSoon();
            int? count = null;
            try
            {
                count = await ReadOnceAsync(buffer, token);
            }
            catch (Exception e) when (IsDetached(detached, e))
            {
            }
            catch (Exception e) when (IsTerminal && Ending.IsHangUp(e))
            {
                count = 0;
            }
            finally
            {
                await detached;
            }
            if (count is { } read) return read;
        }
    }

    public int Read(Memory<byte> buffer)
    {
        while (true)
        {
            Task detached = DetachSoon();
            int? count = null;
            try
            {
                count = ReadOnce(buffer);
            }
            catch (Exception e) when (IsDetached(detached, e))
            {
            }
            catch (Exception e) when (IsTerminal && Ending.IsHangUp(e))
            {
                count = 0;
            }
            finally
            {
                detached.GetAwaiter().GetResult();
            }
            if (count is { } read) return read;
        }
    }

    public async ValueTask<int> WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token)
    {
        buffer = Bound(buffer);
        switch (_form)
        {
            case FileForm.Bytes:
                await File.WriteAsync(buffer, token);
                return buffer.Length;
            case FileForm.Stream:
                await File.AsStream().WriteAsync(buffer, token);
                return buffer.Length;
            case FileForm.Function:
                if (_plan.Next(4) == 0 && File.TryWrite(buffer, WriteCall, out int written)) return written;
                return await File.WriteAsync(buffer, WriteCall, token);
            default:
                while (true)
                {
                    await File.WaitWritableAsync(token);
                    if (TryCall(fd => Fd.Write(fd, buffer.Span), out int count)) return Descriptors.Check(count, "write");
                }
        }
    }

    public int Write(ReadOnlyMemory<byte> buffer)
    {
        buffer = Bound(buffer);
        switch (_form)
        {
            case FileForm.Bytes:
                File.Write(buffer.Span);
                return buffer.Length;
            case FileForm.Stream:
                File.AsStream().Write(buffer.Span);
                return buffer.Length;
            case FileForm.Function:
                return File.Write(buffer, WriteCall);
            default:
                while (true)
                {
                    File.WaitWritable();
                    if (TryCall(fd => Fd.Write(fd, buffer.Span), out int count)) return Descriptors.Check(count, "write");
                }
        }
    }

    public string Describe()
    {
        bool held = false;
        try
        {
            _handle.DangerousAddRef(ref held);
            return LibC.Queues(_handle.DangerousGetHandle());
        }
        catch (ObjectDisposedException)
        {
            return "closed";
        }
        finally
        {
            if (held) _handle.DangerousRelease();
        }
    }

    public void SetDeadline(PollMode mode, TimeSpan fromNow)
    {
        if (mode == PollMode.Read) File.SetReadDeadline(fromNow);
        else File.SetWriteDeadline(fromNow);
    }

    public void SetTimeout(PollMode mode, int milliseconds)
    {
        Stream stream = File.AsStream();
        if (mode == PollMode.Read) stream.ReadTimeout = milliseconds;
        else stream.WriteTimeout = milliseconds;
    }

    private async ValueTask<int> ReadOnceAsync(Memory<byte> buffer, CancellationToken token)
    {
        PolledFile file = File;
        switch (_form)
        {
            case FileForm.Bytes: return await file.ReadAsync(buffer, token);
            case FileForm.Stream: return await file.AsStream().ReadAsync(buffer, token);
            case FileForm.Function:
                if (_plan.Next(4) == 0 && file.TryRead(buffer, ReadCall, out int read)) return read;
                return await file.ReadAsync(buffer, ReadCall, token);
            default:
                buffer = buffer[..Part(buffer)];
                while (true)
                {
                    await file.WaitReadableAsync(token);
                    if (TryCall(fd => ReadOnce(fd, buffer.Span), out int count)) return Descriptors.Check(count, "read");
                }
        }
    }

    private int ReadOnce(Memory<byte> buffer)
    {
        PolledFile file = File;
        switch (_form)
        {
            case FileForm.Bytes: return file.Read(buffer.Span);
            case FileForm.Stream: return file.AsStream().Read(buffer.Span);
            case FileForm.Function: return file.Read(buffer, ReadCall);
            default:
                buffer = buffer[..Part(buffer)];
                while (true)
                {
                    file.WaitReadable();
                    if (TryCall(fd => ReadOnce(fd, buffer.Span), out int count)) return Descriptors.Check(count, "read");
                }
        }
    }

    // A call of ours must not block either: a pipe that is ready takes so much.
    private ReadOnlyMemory<byte> Bound(ReadOnlyMemory<byte> buffer) =>
        _options.NonBlocking == NonBlockingMode.Never && WritesExactly && buffer.Length > PipeBuffer ? buffer[..PipeBuffer] : buffer;

    private int Part(Memory<byte> buffer) => Math.Max(1, buffer.Length / _plan.Next(1, 5));

    private PolledFile Open()
    {
        _torture.Figures.Add(Figure.Files);
        return new PolledFile(_torture.Poller, _handle, ownsHandle: true, _options);
    }

    // A call of a native library: it has a reference to the handle. False if it would block, after a spurious wake-up.
    private bool TryCall(Func<nint, int> call, out int result)
    {
        bool held = false;
        _handle.DangerousAddRef(ref held);
        try
        {
            result = call(_handle.DangerousGetHandle());
            return result != -Errno.EAGAIN.Number;
        }
        finally
        {
            _handle.DangerousRelease();
        }
    }

    // Now and then gives the file up beside the next read, which then fails or succeeds, and opens it again.
    private Task DetachSoon()
    {
        if (!Detaches || _plan.Next(32) != 0) return Task.CompletedTask;
        TaskCompletionSource opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        PolledFile file = File;
        _torture.Chaos.Soon(() => _ = DetachAsync(), _plan);
        return opened.Task;

        async Task DetachAsync()
        {
            try
            {
                if (await file.DetachAsync() != _handle) throw new InvalidOperationException("Detach returned another handle.");
                _torture.Figures.Add(Figure.Detaches);
                Volatile.Write(ref _file, Open());
                opened.SetResult();
            }
#pragma warning disable CA1031 // The read that waits for it sees it.
            catch (Exception e)
#pragma warning restore CA1031
            {
                opened.SetException(e);
            }
        }
    }

    // Linux may tell the end of a terminal while it still has bytes, which the next read gets.
    private static int ReadOnce(nint fd, Span<byte> buffer) =>
        Fd.Read(fd, buffer) is var n && n == -Ending.Eio.Number ? Fd.Read(fd, buffer) : n;

    private static bool IsDetached(Task detached, Exception e) =>
        detached != Task.CompletedTask && e is ObjectDisposedException or NetOpException { IsClosed: true };
}
