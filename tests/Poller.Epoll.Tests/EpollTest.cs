namespace Poller.Epoll.Tests;

/// <summary>One edge-triggered epoll for each test.</summary>
public abstract class EpollTest() : PollerTest<EpollNetpoll>(new EpollNetpoll());
