using System.Net;
using Microsoft.Extensions.Logging;

namespace Poller.DependencyInjection;

/// <summary>What a listener of a host logs.</summary>
internal static partial class NetListenerLog
{
    public static readonly Func<ILogger, string, long, IDisposable?> ConnectionScope =
        LoggerMessage.DefineScope<string, long>("Listener: {Listener}, ConnectionId: {ConnectionId}");

    [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "{Listener}: listening on {LocalEndPoint}.")]
    public static partial void Listening(ILogger logger, string listener, EndPoint localEndPoint);

    [LoggerMessage(
        EventId = 2, Level = LogLevel.Debug,
        Message = "{Listener}: connection {ConnectionId} accepted from {RemoteEndPoint}.")]
    public static partial void Accepted(ILogger logger, string listener, long connectionId, EndPoint? remoteEndPoint);

    [LoggerMessage(EventId = 3, Level = LogLevel.Debug, Message = "{Listener}: connection {ConnectionId} ended.")]
    public static partial void Ended(ILogger logger, string listener, long connectionId);

    [LoggerMessage(EventId = 4, Level = LogLevel.Debug, Message = "{Listener}: connection {ConnectionId} ended: {Reason}")]
    public static partial void Broken(ILogger logger, string listener, long connectionId, string reason);

    [LoggerMessage(EventId = 5, Level = LogLevel.Error, Message = "{Listener}: the handler of connection {ConnectionId} failed.")]
    public static partial void Failed(ILogger logger, string listener, long connectionId, Exception exception);

    [LoggerMessage(EventId = 6, Level = LogLevel.Critical, Message = "{Listener}: accepting failed. The host stops.")]
    public static partial void AcceptFailed(ILogger logger, string listener, Exception exception);

    [LoggerMessage(EventId = 7, Level = LogLevel.Warning, Message = "{Listener}: a handler's callback for the stop failed.")]
    public static partial void CallbackFailed(ILogger logger, string listener, Exception exception);

    [LoggerMessage(
        EventId = 8, Level = LogLevel.Warning,
        Message = "{Listener}: the time for the shutdown is over. Open connections, which are closed now: {Count}.")]
    public static partial void TimeOver(ILogger logger, string listener, int count);

    [LoggerMessage(
        EventId = 9, Level = LogLevel.Error,
        Message = "{Listener}: handlers that still run, although their connections were closed a second ago: {Count}.")]
    public static partial void StillRunning(ILogger logger, string listener, int count);

    [LoggerMessage(
        EventId = 10, Level = LogLevel.Warning,
        Message = "{Listener}: the service manager has handed over no socket of this name, but {Names}; it takes {Network} {Address}.")]
    public static partial void NotActivated(ILogger logger, string listener, string network, string address, string names);
}
