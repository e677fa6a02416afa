namespace Poller.Net;

/// <summary>Nobody listens.</summary>
internal sealed class PollerMetrics
{
    public bool CountsBytes => false;

    public bool MeasuresDelay => false;

    public void RecordDelay(PollLoop loop, long readyAt) { }
}
