using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;
using Poller.Posix;

namespace Poller.DependencyInjection.Tests;

/// <summary>A backend whose poll fails when the test says so.</summary>
internal sealed class BreakingFactory : INetpollFactory, IDisposable
{
    private BreakingPoll? _made;

    public string Name => "breaking";

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = null;
        return true;
    }

    public INetpoll Create() => _made = new BreakingPoll();

    public void Break() => _made!.BreakDown();

    public void Dispose() => _made?.Dispose();

    private sealed class BreakingPoll : INetpoll
    {
        private readonly INetpoll _inner = new PosixNetpollFactory().Create();
        private bool _isBroken;

        public string Name => "breaking";

        public PollTrigger Trigger => _inner.Trigger;

        public void BreakDown()
        {
            Volatile.Write(ref _isBroken, true);
            _inner.Break();
        }

        public void Init() => _inner.Init();

        public Errno Open(nint fd, PollToken token) => _inner.Open(fd, token);

        public Errno Close(nint fd) => _inner.Close(fd);

        public Errno Arm(nint fd, PollMode mode) => _inner.Arm(fd, mode);

        public int Poll(Span<PollEvent> events, long delay)
        {
            int count = _inner.Poll(events, delay);
            return Volatile.Read(ref _isBroken) ? throw new NetpollException("poll", Errno.EBADF) : count;
        }

        public void Break() => _inner.Break();

        public void Dispose() => _inner.Dispose();
    }
}
