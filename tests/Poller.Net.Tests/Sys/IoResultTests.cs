using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class IoResultTests : NetTest<EpollBackend>
{
    private static readonly IoResult[] Reasons =
    [
        IoResult.Closing, IoResult.Timeout, IoResult.NotPollable, IoResult.Canceled, IoResult.Disposed, IoResult.ClosedInQueue,
        IoResult.PollerFailed,
    ];

    [Fact]
    public void A_value_an_error_and_a_reason_are_told_apart()
    {
        IoResult value = 11, error = new Errno(11);
        Assert.Equal((true, 11, Errno.None), (value.IsSuccess, value.Value, value.Errno));
        Assert.Equal((false, new Errno(11)), (error.IsSuccess, error.Errno));
        Assert.Throws<InvalidOperationException>(() => error.Value);
        Assert.All(Reasons, reason => Assert.Equal((false, Errno.None), (reason.IsSuccess, reason.Errno)));
        IoResult[] all = [0, value, error, .. Reasons];
        Assert.Equal(all.Length, all.Distinct().Count());
        Assert.Equal(all.Length, all.Select(static result => result.ToString()).Distinct().Count());
        Assert.Equal<IoResult>(0, Errno.None);
    }

    // A name that this system does not have is neither a value nor an error of any call.
    [Fact]
    public void An_error_that_this_system_does_not_have_equals_nothing()
    {
        IoResult absent = new Errno(-27);
        Assert.Equal((false, Errno.None), (absent.IsSuccess, absent.Errno));
        Assert.NotEqual<IoResult>(27, absent);
        Assert.NotEqual<IoResult>(new Errno(27), absent);
        Assert.All(Reasons, reason => Assert.NotEqual(reason, absent));
    }

    [Fact]
    public void An_error_is_told_in_the_systems_own_words_by_its_own_number()
    {
        SocketException error = SocketErrors.ToException(Errno.ECONNREFUSED);

        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        Assert.Equal(Marshal.GetPInvokeErrorMessage(OperatingSystem.IsLinux() ? 111 : 61), error.Message);
    }

    // The number of EAGAIN on one system is EDEADLK's on the other, and the other way round.
    [Fact]
    public async Task A_deadlock_that_was_avoided_is_an_error_and_not_a_reason_to_wait()
    {
        const int OfLinux = 11, OfTheBsds = 35;
        Errno deadlock = new(OperatingSystem.IsLinux() ? OfTheBsds : OfLinux);
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        api.Receives.Enqueue(deadlock);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within());
        Assert.Contains(deadlock.Message, e.Message, StringComparison.Ordinal);

        api.Receives.Enqueue(Errno.EAGAIN);
        ValueTask<int> read = server.ReadAsync(new byte[1]);
        Assert.False(read.IsCompleted);
        server.Dispose();
        await Assert.ThrowsAsync<NetOpException>(() => read.Within());
    }
}
