namespace Poller.Net;

// The calls for many messages at once. Where the system has none, they are loops over the calls for one.
internal partial interface ISocketApi
{
    /// <summary>recvmmsg(2): receives what has arrived, at most one message into each place. Returns how many.</summary>
    IoResult ReceiveMessages(nint fd, MessageBatch batch);

    /// <summary>sendmmsg(2): sends messages from <paramref name="first"/> on. Returns how many it sent.</summary>
    IoResult SendMessages(nint fd, MessageBatch batch, int first);
}
