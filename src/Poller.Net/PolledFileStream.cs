namespace Poller.Net;

/// <summary>The stream of <see cref="PolledFile.AsStream"/>.</summary>
internal sealed class PolledFileStream(FileFd fd) : Stream
{
    public override bool CanRead => !fd.IsClosed;

    public override bool CanWrite => !fd.IsClosed;

    public override bool CanSeek => false;

    public override bool CanTimeout => true;

    public override long Length => throw NotSeekable();

    public override long Position { get => throw NotSeekable(); set => throw NotSeekable(); }

    public override int ReadTimeout { get => fd.ReadTimeout; set => fd.ReadTimeout = value; }

    public override int WriteTimeout { get => fd.WriteTimeout; set => fd.WriteTimeout = value; }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        fd.ReadAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return fd.ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override int Read(Span<byte> buffer) => fd.Read(buffer);

    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return fd.Read(buffer.AsSpan(offset, count));
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        fd.WriteAsync(buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return fd.WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override void Write(ReadOnlySpan<byte> buffer) => fd.Write(buffer);

    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        fd.Write(buffer.AsSpan(offset, count));
    }

    // Stream's own forms would run the blocking read and write on the thread pool.

    public override IAsyncResult BeginRead(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(ReadAsync(buffer, offset, count, CancellationToken.None), callback, state);

    public override int EndRead(IAsyncResult asyncResult)
    {
        if (asyncResult is { IsCompleted: false }) fd.BeforeBlocking("end read");
        return TaskToAsyncResult.End<int>(asyncResult);
    }

    public override IAsyncResult BeginWrite(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(WriteAsync(buffer, offset, count, CancellationToken.None), callback, state);

    public override void EndWrite(IAsyncResult asyncResult)
    {
        if (asyncResult is { IsCompleted: false }) fd.BeforeBlocking("end write");
        TaskToAsyncResult.End(asyncResult);
    }

    public override void Flush() { }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => throw NotSeekable();

    public override void SetLength(long value) => throw NotSeekable();

    protected override void Dispose(bool disposing)
    {
        if (disposing) fd.Dispose();
        base.Dispose(disposing);
    }

    private static NotSupportedException NotSeekable() => new("the stream of a polled file has no position or length.");
}
