namespace Poller.Net;

/// <summary>How a stream's descriptor is closed, without a report.</summary>
internal static class SocketFd
{
    public static void CloseDescriptor(ISocketApi api, PollLoop? loop, nint fd) => api.Close(fd);
}
