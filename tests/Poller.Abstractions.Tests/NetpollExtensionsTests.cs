using System.Runtime.InteropServices;

namespace Poller.Abstractions.Tests;

public sealed class NetpollExtensionsTests : IDisposable
{
    private readonly FakePoll _poller = new();

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 100)]
    [InlineData(10_000, 1_000_000)]
    [InlineData(long.MaxValue / 100, long.MaxValue / 100 * 100)]
    [InlineData(long.MaxValue / 100 + 1, long.MaxValue)]
    [InlineData(long.MaxValue, long.MaxValue)]
    public void A_time_is_handed_on_in_nanoseconds_and_never_overflows(long ticks, long nanoseconds)
    {
        Assert.Equal(0, _poller.Poll(new PollEvent[1], TimeSpan.FromTicks(ticks)));

        Assert.Equal(nanoseconds, _poller.Delay);
    }

    [Fact]
    public void An_infinite_time_blocks()
    {
        _poller.Poll(new PollEvent[1], Timeout.InfiniteTimeSpan);

        Assert.True(_poller.Delay < 0);
    }

    /// <summary>The time to a deadline that has passed.</summary>
    [Theory]
    [InlineData(-1)]
    [InlineData(-9_999)]
    [InlineData(-10_001)]
    [InlineData(long.MinValue)]
    public void A_negative_time_is_refused_and_not_taken_for_an_infinite_one(long ticks)
    {
        Assert.Throws<ArgumentOutOfRangeException>("timeout", () => { _poller.Poll(new PollEvent[1], TimeSpan.FromTicks(ticks)); });

        Assert.Null(_poller.Delay);
    }

    [Fact]
    public void A_handle_stands_for_its_descriptor_and_cannot_be_closed_during_a_call()
    {
        Handle handle = new(7);
        _poller.During = () =>
        {
            handle.Dispose();
            Assert.False(handle.IsReleased);
        };

        Assert.Equal(Errno.EPERM, _poller.Open(handle, new PollToken(3)));

        Assert.True(handle.IsReleased);
        Assert.Equal("Open 7 0x0000000000000003", _poller.Call);
    }

    /// <summary>A socket's handle waits in its Dispose for whoever holds a reference.</summary>
    [Fact]
    public void A_registered_handle_is_not_held()
    {
        Handle handle = new(7);

        Assert.Equal(Errno.EPERM, _poller.Open(handle, new PollToken(3)));
        Assert.Equal(Errno.EPERM, _poller.Arm(handle, PollMode.Write));
        Assert.Equal("Arm 7 Write", _poller.Call);
        Assert.Equal(Errno.EPERM, _poller.Close(handle));
        Assert.Equal("Close 7", _poller.Call);
        Assert.False(handle.IsReleased);

        handle.Dispose();
        Assert.True(handle.IsReleased);
    }

    [Fact]
    public void A_call_that_throws_gives_its_reference_back()
    {
        Handle handle = new(7);
        _poller.During = static () => throw new NotSupportedException();

        Assert.Throws<NotSupportedException>(() => { _poller.Arm(handle, PollMode.Read); });

        handle.Dispose();
        Assert.True(handle.IsReleased);
    }

    [Fact]
    public void A_disposed_handle_is_refused_before_the_poller_sees_its_number()
    {
        Handle handle = new(7);
        handle.Dispose();

        Assert.Throws<ObjectDisposedException>(() => { _poller.Open(handle, new PollToken(3)); });
        Assert.Throws<ObjectDisposedException>(() => { _poller.Close(handle); });

        Assert.Null(_poller.Call);
    }

    public void Dispose() => _poller.Dispose();

    private sealed class Handle : SafeHandle
    {
        public Handle(nint fd) : base(-1, ownsHandle: true) => SetHandle(fd);

        public bool IsReleased { get; private set; }

        public override bool IsInvalid => false;

        protected override bool ReleaseHandle() => IsReleased = true;
    }

    /// <summary>Remembers what it was asked, and answers EPERM.</summary>
    private sealed class FakePoll : INetpoll
    {
        public Action? During { get; set; }

        public string? Call { get; private set; }

        public long? Delay { get; private set; }

        public string Name => "fake";

        public PollTrigger Trigger => PollTrigger.Level;

        public void Init() { }

        public Errno Open(nint fd, PollToken token) => Answer($"Open {fd} {token}");

        public Errno Close(nint fd) => Answer($"Close {fd}");

        public Errno Arm(nint fd, PollMode mode) => Answer($"Arm {fd} {mode}");

        public int Poll(Span<PollEvent> events, long delay)
        {
            Delay = delay;
            return 0;
        }

        public void Break() { }

        public void Dispose() { }

        private Errno Answer(string call)
        {
            Call = call;
            During?.Invoke();
            return Errno.EPERM;
        }
    }
}
