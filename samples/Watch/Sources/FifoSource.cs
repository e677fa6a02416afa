using Poller.Net;

namespace Watch.Sources;

/// <summary>A FIFO whose writers come and go. It is open for writing too, so it always has a writer and does not end.</summary>
internal sealed class FifoSource(PolledFile file) : ByteSource(file)
{
    public static Source Open(Netpoller poller, string path) => new FifoSource(Poll(poller, LibC.Open(path, writes: true)));
}
