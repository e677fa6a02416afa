using System.Globalization;
using System.Runtime.InteropServices;

namespace Poller.Abstractions.Tests;

public class NetpollExceptionTests
{
    private const int EBADF = 9;

    [Fact]
    public void The_message_names_the_operation_the_error_and_its_number()
    {
        NetpollException error = new("epoll_ctl add fd 7", EBADF);

        Assert.Equal($"epoll_ctl add fd 7: {Marshal.GetPInvokeErrorMessage(EBADF)} (errno 9)", error.Message);
        Assert.Equal("epoll_ctl add fd 7", error.Operation);
        Assert.Equal(EBADF, error.Errno);
    }

    [Fact]
    public void A_hint_ends_the_message()
    {
        NetpollException error = new("eventfd", 24, "raise the limit with ulimit -n");

        Assert.EndsWith(" (errno 24): raise the limit with ulimit -n", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_errno_still_gives_a_message_with_its_number() =>
        Assert.Contains("(errno 4000)", new NetpollException("kevent", 4000).Message, StringComparison.Ordinal);

    [Fact]
    public void The_number_is_written_alike_in_every_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        CultureInfo odd = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        odd.NumberFormat.NegativeSign = "minus ";
        CultureInfo.CurrentCulture = odd;
        try
        {
            Assert.Contains("(errno -1)", new NetpollException("kevent", -1).Message, StringComparison.Ordinal);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void It_is_caught_as_an_IOException() => Assert.IsAssignableFrom<IOException>(new NetpollException("epoll_wait", EBADF));
}
