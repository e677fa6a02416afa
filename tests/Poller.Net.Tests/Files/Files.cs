using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>What the tests of <see cref="PolledFile"/> share: its operations in both forms, and calls that do not block.</summary>
internal static class Files
{
    /// <summary>A caller's own function: read(2).</summary>
    public static readonly Func<nint, byte[], TryResult<int>> ReadCall = static (fd, buffer) =>
        Fd.Read(fd, buffer) is var n && n == -Errno.EAGAIN.Number ? TryResult.WouldBlock
        : n >= 0 ? TryResult.Done(n)
        : throw new IOException($"read: {new Errno(-n)}");

    /// <summary>A caller's own function: write(2).</summary>
    public static readonly Func<nint, byte[], TryResult<int>> WriteCall = static (fd, buffer) =>
        Fd.Write(fd, buffer) is var n && n == -Errno.EAGAIN.Number ? TryResult.WouldBlock
        : n >= 0 ? TryResult.Done(n)
        : throw new IOException($"write: {new Errno(-n)}");

    /// <summary>Puts a descriptor of the test's own into the poller.</summary>
    public static PolledFile Polled(this Fixture fixture, Fd fd, PolledFileOptions? options = null) =>
        new(fixture.Poller, fd.Number, ownsHandle: false, options);

    public static Operation<int> StartRead(this PolledFile file, bool blocking, Memory<byte> buffer) =>
        blocking ? new(() => file.Read(buffer.Span)) : new(file.ReadAsync(buffer).AsTask());

    public static Operation<int> StartCall(this PolledFile file, bool blocking, byte[] buffer) =>
        blocking ? new(() => file.Read(buffer, ReadCall)) : new(file.ReadAsync(buffer, ReadCall).AsTask());

    public static Operation<bool> StartWrite(this PolledFile file, bool blocking, ReadOnlyMemory<byte> buffer) =>
        blocking ? Blocking(() => file.Write(buffer.Span)) : Async(file.WriteAsync(buffer));

    public static Operation<bool> StartWait(this PolledFile file, bool blocking, PollMode mode = PollMode.Read) => mode == PollMode.Read
        ? blocking ? Blocking(file.WaitReadable) : Async(file.WaitReadableAsync())
        : blocking ? Blocking(file.WaitWritable) : Async(file.WaitWritableAsync());

    private static Operation<bool> Blocking(Action action) => new(() =>
    {
        action();
        return true;
    });

    private static Operation<bool> Async(ValueTask operation)
    {
        return new(CompleteAsync(operation));

        static async Task<bool> CompleteAsync(ValueTask operation)
        {
            await operation.ConfigureAwait(false);
            return true;
        }
    }
}
