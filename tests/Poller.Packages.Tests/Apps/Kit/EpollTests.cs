using Poller.Conformance;
using Poller.Epoll;

/// <summary>A backend's tests, as its author writes them.</summary>
public sealed class EpollTests() : NetpollConformance(new EpollNetpollFactory());
