using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>A connection as Microsoft.AspNetCore.Connections wants it, over a <see cref="Conn"/>.</summary>
internal sealed partial class PollerConnection : ConnectionContext
{
    private const int MinBuffer = 2048;

    // Constant.
    private static readonly bool FinOnError =
        AppContext.TryGetSwitch("Microsoft.AspNetCore.Server.Kestrel.FinOnError", out bool isOn) && isOn;

    private readonly Conn _conn;
    private readonly ILogger _logger;
    private readonly PipeWriter _input;
    private readonly PipeReader _output;
    private readonly IDuplexPipe _transport;
    private readonly CancellationTokenSource _closed = new();
    private readonly TaskCompletionSource _closedFired = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();

    // Constant after Start.
    private Task? _receiving;
    private Task? _sending;

    // Guarded by the lock: why the connection ends; null while it does not.
    private Exception? _reason;

    private PollerConnection(Conn conn, PollerTransportOptions options, MemoryPool<byte> pool, ILogger logger)
    {
        _conn = conn;
        _logger = logger;
        MemoryPool = pool;
        LocalEndPoint = conn.LocalEndPoint;
        RemoteEndPoint = conn.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Pipe input = new(OptionsOf(options.MaxReadBufferSize));
        Pipe output = new(OptionsOf(options.MaxWriteBufferSize));
        _input = input.Writer;
        _output = output.Reader;
        _transport = Transport = new DuplexPipe(input.Reader, output.Writer);

        PipeOptions OptionsOf(long? limit) =>
            new(pool, PipeScheduler.Inline, PipeScheduler.Inline, limit ?? 0, (limit ?? 0) / 2, useSynchronizationContext: false);
    }

    public override string ConnectionId { get => field ??= ConnectionIds.Next(); set; }

    public override IDuplexPipe Transport { get; set; }

    public override IDictionary<object, object?> Items { get => field ??= new ConnectionItems(); set; }

    public MemoryPool<byte> MemoryPool { get; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    /// <summary>Takes ownership of a connection, and begins to receive and send.</summary>
    /// <exception cref="NetOpException">The connection is dead.</exception>
    public static PollerConnection Start(Conn conn, PollerTransportOptions options, MemoryPool<byte> pool, ILogger logger)
    {
        PollerConnection connection = new(conn, options, pool, logger);
        connection._receiving = connection.ReceiveAsync();
        connection._sending = connection.SendAsync();
        return connection;
    }

    public override void Abort(ConnectionAbortedException abortReason)
    {
        Shutdown(abortReason);
        _output.CancelPendingRead(); // After the reason is known, because the end of sending would give another.
    }

    public override async ValueTask DisposeAsync()
    {
        await _transport.Input.CompleteAsync().ConfigureAwait(false);
        await _transport.Output.CompleteAsync().ConfigureAwait(false);
        await _receiving!.ConfigureAwait(false);
        await _sending!.ConfigureAwait(false);
        _closed.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    private async Task ReceiveAsync()
    {
        Exception? error = null;
        try
        {
            while (await _conn.WaitToReadAsync().ConfigureAwait(false))
            {
                int count = await _conn.ReadAsync(_input.GetMemory(MinBuffer)).ConfigureAwait(false);
                if (count == 0) break;
                _input.Advance(count);
                ValueTask<FlushResult> flush = _input.FlushAsync();
                bool pauses = !flush.IsCompleted;
                if (pauses && _logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionPause(_logger, ConnectionId);
                FlushResult flushed = await flush.ConfigureAwait(false);
                if (pauses && _logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionResume(_logger, ConnectionId);
                if (flushed.IsCompleted || flushed.IsCanceled) goto ended;
            }
            if (_logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionReadFin(_logger, ConnectionId);
        ended:;
        }
#pragma warning disable CA1031 // Whatever it is, it is the reader's.
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = Translate(e);
        }
        Exception? reason;
        lock (_lock) reason = _reason;
        await _input.CompleteAsync(reason ?? error).ConfigureAwait(false);
        FireConnectionClosed();
        await _closedFired.Task.ConfigureAwait(false);
    }

    private async Task SendAsync()
    {
        Exception? error = null;
        Exception? unexpected = null;
        try
        {
            while (true)
            {
                ReadResult read = await _output.ReadAsync().ConfigureAwait(false);
                if (read.IsCanceled) break;
                if (!read.Buffer.IsEmpty) await _conn.WriteAsync(read.Buffer).ConfigureAwait(false);
                _output.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
        }
#pragma warning disable CA1031 // Whatever it is, it ends the connection.
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = Translate(e);
            if (error is not (ConnectionResetException or ObjectDisposedException or NetOpException { IsClosed: true })) unexpected = error;
        }
        Shutdown(error);
        await _output.CompleteAsync(unexpected).ConfigureAwait(false);
        _input.CancelPendingFlush();
    }

    private Exception Translate(Exception error)
    {
        lock (_lock)
        {
            if (_reason is not null) return error;
        }
        if (error is NetOpException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown })
        {
            error = new ConnectionResetException(error.Message, error);
            if (_logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionReset(_logger, ConnectionId);
        }
        else if (_logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionError(_logger, ConnectionId, error);
        return error;
    }

    // With an error the connection is reset; without one it ends in both directions.
    private void Shutdown(Exception? error)
    {
        lock (_lock)
        {
            if (_reason is not null) return;
            _reason = error ?? new ConnectionAbortedException("The poller transport's send loop completed gracefully.");
            try
            {
                if (error is not null && !FinOnError)
                {
                    if (_logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionWriteRst(_logger, ConnectionId, error.Message);
                    _conn.LingerState = new LingerOption(true, 0);
                }
                else
                {
                    if (_logger.IsEnabled(LogLevel.Debug)) TransportLog.ConnectionWriteFin(_logger, ConnectionId, _reason.Message);
                    _conn.CloseRead();
                    _conn.CloseWrite();
                }
            }
            catch (NetOpException)
            {
                // It is over already.
            }
            _conn.Dispose();
        }
    }

    private void FireConnectionClosed() => ThreadPool.UnsafeQueueUserWorkItem(
        static connection =>
        {
            try
            {
                connection._closed.Cancel();
            }
#pragma warning disable CA1031 // Whatever a callback of the app throws, the connection ends.
            catch (Exception e)
#pragma warning restore CA1031
            {
                TransportLog.CallbackFailed(connection._logger, connection.ConnectionId, e);
            }
            finally
            {
                connection._closedFired.SetResult();
            }
        },
        this,
        preferLocal: false);

    private sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
