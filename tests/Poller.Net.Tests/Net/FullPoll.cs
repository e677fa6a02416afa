using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// The backend, which takes no descriptor while it is told so, as epoll does when max_user_watches is reached (epoll(7)).
/// </summary>
internal sealed class FullPoll : INetpoll
{
    private readonly INetpoll _inner;
    private readonly Factory _factory;

    private FullPoll(INetpoll inner, Factory factory) => (_inner, _factory) = (inner, factory);

    public string Name => _inner.Name;

    public PollTrigger Trigger => _inner.Trigger;

    public void Init() => _inner.Init();

    public Errno Open(nint fd, PollToken token) =>
        Volatile.Read(ref _factory.Refusals) > 0 && Interlocked.Decrement(ref _factory.Refusals) >= 0
            ? Errno.ENOSPC : _inner.Open(fd, token);

    public Errno Close(nint fd) => _inner.Close(fd);

    public Errno Arm(nint fd, PollMode mode) => _inner.Arm(fd, mode);

    public int Poll(Span<PollEvent> events, long delay) => _inner.Poll(events, delay);

    public void Break() => _inner.Break();

    public void Dispose() => _inner.Dispose();

    public sealed class Factory(INetpollFactory backend) : INetpollFactory
    {
        /// <summary>How many of the next descriptors are refused.</summary>
        public int Refusals;

        public string Name => backend.Name;

        public bool IsSupported([NotNullWhen(false)] out string? reason) => backend.IsSupported(out reason);

        public INetpoll Create() => new FullPoll(backend.Create(), this);
    }
}
