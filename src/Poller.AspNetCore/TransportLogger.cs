using Microsoft.Extensions.Logging;
using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>
/// The transport's logger. The transport logs while a connection ends, and the connection must end also if a logger of the app throws. So
/// the exception goes to the poller's reports.
/// </summary>
internal sealed class TransportLogger(ILogger logger, Netpoller poller) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => logger.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return logger.IsEnabled(logLevel);
        }
#pragma warning disable CA1031 // Whatever it is, it is the logger's.
        catch (Exception e)
#pragma warning restore CA1031
        {
            poller.Report("log", e);
            return false;
        }
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        try
        {
            logger.Log(logLevel, eventId, state, exception, formatter);
        }
#pragma warning disable CA1031 // Whatever it is, it is the logger's.
        catch (Exception e)
#pragma warning restore CA1031
        {
            poller.Report("log", e);
        }
    }
}
