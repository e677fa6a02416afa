namespace Poller.Net;

/// <summary>What all sockets of one network share: its name, such as <c>tcp</c>, and the system calls.</summary>
internal sealed record SocketNetwork(string Name, ISocketApi Api);
