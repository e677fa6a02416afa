using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;
using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>A connection as Microsoft.AspNetCore.Connections wants it, over a <see cref="Conn"/>.</summary>
internal sealed partial class PollerConnection : ConnectionContext, IDuplexPipe
{
    private static readonly bool FinOnError =
        AppContext.TryGetSwitch("Microsoft.AspNetCore.Server.Kestrel.FinOnError", out bool isOn) && isOn;

    // Constant.
    private readonly PollerTransportOptions _options;
    private readonly ILogger _logger;
    private readonly ConnReader _input;
    private readonly ConnWriter _output;
    private readonly CancellationTokenSource _closed = new();

    // Guarded by the lock. _socket is null until somebody asks for it, and _reason until the connection ends. _fires: ConnectionClosed will
    // fire, or has fired. _hasFired: its callbacks have run. _fired: DisposeAsync waits for that.
    private Socket? _socket;
    private Exception? _reason;
    private bool _fires;
    private bool _hasFired;
    private TaskCompletionSource? _fired;

    private PollerConnection(Conn conn, PollerTransportOptions options, MemoryPool<byte> pool, ILogger logger)
    {
        Conn = conn;
        _options = options;
        _logger = logger;
        MemoryPool = pool;
        LocalEndPoint = conn.LocalEndPoint;
        RemoteEndPoint = conn.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        _input = new ConnReader(this, conn.NetFd);
        _output = new ConnWriter(this, conn.NetFd, options.MaxWriteBufferSize);
        Transport = this;
    }

    public override string ConnectionId { get => field ??= ConnectionIds.Next(); set; }

    public override IDuplexPipe Transport { get; set; }

    PipeReader IDuplexPipe.Input => _input;

    PipeWriter IDuplexPipe.Output => _output;

    public override IDictionary<object, object?> Items { get => field ??= new ConnectionItems(); set; }

    public MemoryPool<byte> MemoryPool { get; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    /// <summary>
    /// A socket over a duplicate of the connection's descriptor. It reads and sets the connection's options and addresses. Its own dispose
    /// leaves the connection open.
    /// </summary>
    Socket IConnectionSocketFeature.Socket
    {
        get
        {
            lock (Lock) return _socket ??= new Socket(Conn.NetFd.Duplicate());
        }
    }

    /// <summary>
    /// The lock of the connection's end and of its output. No code of the app runs under it but its loggers, and the post of a
    /// continuation to its own SynchronizationContext or TaskScheduler.
    /// </summary>
    public Lock Lock { get; } = new();

    /// <summary>
    /// The options of the pipe between the reader and one that reads ahead. The app does not run on the pump's stack: if it blocked there,
    /// for more bytes or for the end, nobody would read them.
    /// </summary>
    public PipeOptions InputOptions
    {
        get
        {
            long limit = _options.MaxReadBufferSize ?? 0;
            return new(MemoryPool, PipeScheduler.ThreadPool, PipeScheduler.Inline, limit, limit / 2, useSynchronizationContext: false);
        }
    }

    /// <summary>Why we ended the connection; null while we have not.</summary>
    public Exception? Reason
    {
        get
        {
            lock (Lock) return _reason;
        }
    }

    /// <summary>The connection's log; null if nobody listens at the level Debug.</summary>
    public ILogger? DebugLog => _logger.IsEnabled(LogLevel.Debug) ? _logger : null;

    public Conn Conn { get; }

    /// <summary>Takes ownership of a connection.</summary>
    /// <exception cref="NetOpException">The connection is dead. It remains the caller's.</exception>
    public static PollerConnection Start(Conn conn, PollerTransportOptions options, MemoryPool<byte> pool, ILogger logger)
    {
        // The net package has set TCP_NODELAY, on the listener or after the dial.
        if (!options.NoDelay && conn is TcpConn) conn.NoDelay = false;
        PollerConnection connection = new(conn, options, pool, logger);
        connection._input.Start();
        return connection;
    }

    public override void Abort(ConnectionAbortedException abortReason) => Shutdown(abortReason);

    public override async ValueTask DisposeAsync()
    {
        _input.Complete();
        _output.Complete();
        await _output.WhenSent().ConfigureAwait(false);
        Task fired;
        lock (Lock) fired = _hasFired ? Task.CompletedTask : (_fired ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        await fired.ConfigureAwait(false);
        await _input.WhenDone().ConfigureAwait(false);
        _closed.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>The app has read something.</summary>
    public void NoteRead() => _output.NoteRead();

    /// <summary>The app is about to wait for more.</summary>
    public void SendDeferred() => _output.SendDeferred();

    /// <summary>The app's read has come to the end.</summary>
    public void ReceivedEnd()
    {
        if (Reason is null && DebugLog is { } log) TransportLog.ConnectionReadFin(log, ConnectionId);
        FireConnectionClosed();
    }

    /// <summary>The reader has failed. Returns what the app sees.</summary>
    public Exception ReceiveFailed(Exception error)
    {
        error = Translate(error);
        FireConnectionClosed();
        return Reason ?? error;
    }

    /// <summary>Has ConnectionClosed fire, once, on the pool.</summary>
    public void FireConnectionClosed()
    {
        lock (Lock)
        {
            if (_fires) return;
            _fires = true;
        }
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.CancelConnectionClosed(), this, preferLocal: false);
    }

    /// <summary>The writer was completed, and all is sent.</summary>
    public void SentAll() => Shutdown(null);

    /// <summary>The writer has failed, or was completed with an error.</summary>
    public void SendFailed(Exception error)
    {
        error = Translate(error);
        Shutdown(error, isExpected: error is ConnectionResetException or ObjectDisposedException or NetOpException { IsClosed: true });
    }

    /// <summary>Logs an error of the socket, unless we ended the connection. Returns what the app sees of it.</summary>
    public Exception Translate(Exception error)
    {
        if (Reason is not null) return error;
        if (error is NetOpException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown })
        {
            error = new ConnectionResetException(error.Message, error);
            if (DebugLog is { } log) TransportLog.ConnectionReset(log, ConnectionId);
        }
        else if (DebugLog is { } log) TransportLog.ConnectionError(log, ConnectionId, error);
        return error;
    }

    // With an error the connection is reset; without one it ends in good order. An unexpected error is the writer's too.
    private void Shutdown(Exception? error, bool isExpected = true)
    {
        lock (Lock)
        {
            if (_reason is not null) return;
            _reason = error ?? new ConnectionAbortedException("The poller transport's send loop completed gracefully.");
            try
            {
                if (error is not null && !FinOnError)
                {
                    if (DebugLog is { } log) TransportLog.ConnectionWriteRst(log, ConnectionId, error.Message);
                    Conn.LingerState = new LingerOption(true, 0);
                }
                else
                {
                    if (DebugLog is { } log) TransportLog.ConnectionWriteFin(log, ConnectionId, _reason.Message);
                    Conn.NetFd.EndInOrder("close");
                }
            }
            catch (NetOpException)
            {
                // The peer has ended the connection already.
            }
            Conn.Dispose();
            _socket?.Dispose();
            _output.End(isExpected ? null : error);
            FireConnectionClosed();
            _input.Abort();
        }
    }

    private void CancelConnectionClosed()
    {
        try
        {
            _closed.Cancel();
        }
#pragma warning disable CA1031 // Whatever a callback of the app throws, the connection ends.
        catch (Exception e)
#pragma warning restore CA1031
        {
            TransportLog.CallbackFailed(_logger, ConnectionId, e);
        }
        lock (Lock)
        {
            _hasFired = true;
            _fired?.SetResult();
        }
    }
}
