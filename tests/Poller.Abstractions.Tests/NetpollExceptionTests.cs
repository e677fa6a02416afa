using System.Globalization;
using System.Runtime.InteropServices;

namespace Poller.Abstractions.Tests;

public class NetpollExceptionTests
{
    [Fact]
    public void The_message_names_the_operation_the_error_and_its_number()
    {
        NetpollException error = new("epoll_ctl add fd 7", Errno.EBADF);

        Assert.Equal($"epoll_ctl add fd 7: {Marshal.GetPInvokeErrorMessage(Errno.EBADF.Number)} (EBADF 9)", error.Message);
        Assert.Equal("epoll_ctl add fd 7", error.Operation);
        Assert.Equal(Errno.EBADF, error.Error);
    }

    [Fact]
    public void A_hint_ends_the_message()
    {
        NetpollException error = new("eventfd", Errno.EMFILE, "raise the limit with ulimit -n");

        Assert.EndsWith(" (EMFILE 24): raise the limit with ulimit -n", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_errno_still_gives_a_message_with_its_number() =>
        Assert.Contains("(errno 4000)", new NetpollException("kevent", new Errno(4000)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_number_is_written_alike_in_every_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        CultureInfo odd = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        odd.NumberFormat.NegativeSign = "minus ";
        CultureInfo.CurrentCulture = odd;
        try
        {
            Assert.Contains("(errno -1000)", new NetpollException("kevent", new Errno(-1000)).Message, StringComparison.Ordinal);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void It_is_caught_as_an_IOException() => Assert.IsAssignableFrom<IOException>(new NetpollException("epoll_wait", Errno.EBADF));
}
