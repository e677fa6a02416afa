using Microsoft.Extensions.Logging;
using Poller.Net;

namespace Poller.AspNetCore;

// The events of ASP.NET Core's sockets transport, with its numbers, names and levels. Callers look first whether anyone listens at the
// level Debug, because asking a connection for its id makes the id.
internal static partial class TransportLog
{
    public static ILogger CreateLogger(ILoggerFactory factory, Netpoller poller) =>
        new TransportLogger(factory.CreateLogger("Poller.AspNetCore.Transport"), poller);

    [LoggerMessage(4, LogLevel.Debug, @"Connection id ""{ConnectionId}"" paused.", EventName = "ConnectionPause", SkipEnabledCheck = true)]
    public static partial void ConnectionPause(ILogger logger, string connectionId);

    [LoggerMessage(
        5, LogLevel.Debug, @"Connection id ""{ConnectionId}"" resumed.", EventName = "ConnectionResume", SkipEnabledCheck = true)]
    public static partial void ConnectionResume(ILogger logger, string connectionId);

    [LoggerMessage(
        6, LogLevel.Debug, @"Connection id ""{ConnectionId}"" received FIN.", EventName = "ConnectionReadFin", SkipEnabledCheck = true)]
    public static partial void ConnectionReadFin(ILogger logger, string connectionId);

    [LoggerMessage(
        7, LogLevel.Debug, @"Connection id ""{ConnectionId}"" sending FIN because: ""{Reason}""", EventName = "ConnectionWriteFin",
        SkipEnabledCheck = true)]
    public static partial void ConnectionWriteFin(ILogger logger, string connectionId, string reason);

    [LoggerMessage(
        8, LogLevel.Debug, @"Connection id ""{ConnectionId}"" sending RST because: ""{Reason}""", EventName = "ConnectionWriteRst",
        SkipEnabledCheck = true)]
    public static partial void ConnectionWriteRst(ILogger logger, string connectionId, string reason);

    [LoggerMessage(
        14, LogLevel.Debug, @"Connection id ""{ConnectionId}"" communication error.", EventName = "ConnectionError",
        SkipEnabledCheck = true)]
    public static partial void ConnectionError(ILogger logger, string connectionId, Exception exception);

    [LoggerMessage(19, LogLevel.Debug, @"Connection id ""{ConnectionId}"" reset.", EventName = "ConnectionReset", SkipEnabledCheck = true)]
    public static partial void ConnectionReset(ILogger logger, string connectionId);

    // The sockets transport has it too, under no number.
    [LoggerMessage(0, LogLevel.Error, @"Connection id ""{ConnectionId}"": a callback of its ConnectionClosed threw.")]
    public static partial void CallbackFailed(ILogger logger, string connectionId, Exception exception);
}
