namespace Poller.Net;

/// <summary>A listener whose accept waits in the write side.</summary>
internal sealed class NetListenFd
{
    public Socket Socket { get; } = new();

    public void MakeReady(Direction side) => Socket.Wake(Socket.Desc.MakeReady(side));
}
