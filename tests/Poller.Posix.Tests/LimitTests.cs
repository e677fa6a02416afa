using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Posix.Tests;

/// <summary>The process's limit is lowered here: nothing runs beside it.</summary>
[CollectionDefinition(nameof(LimitTests), DisableParallelization = true)]
[Collection(nameof(LimitTests))]
public sealed unsafe partial class LimitTests
{
    private const int NumberOfFiles = 7; // RLIMIT_NOFILE, Linux's.

    /// <summary>poll(2): EINVAL when there are more entries than RLIMIT_NOFILE.</summary>
    [Fact]
    public void A_set_larger_than_a_limit_that_was_lowered_is_refused_with_what_was_expected_and_works_again_after()
    {
        using PosixNetpoll poller = new();
        poller.Init();
        (Fd near, Fd far) = Fd.SocketPair();
        using (near)
        using (far)
        {
            Assert.Equal(Errno.None, poller.Open(near, new PollToken(1)));
            Assert.Equal(Errno.None, poller.Arm(near, PollMode.Write));
            PollEvent[] events = new PollEvent[4];
            Limit before;
            Assert.Equal(0, getrlimit(NumberOfFiles, &before));
            NetpollException? error = null;
            Limit none = before with { Current = 0 };
            Assert.Equal(0, setrlimit(NumberOfFiles, &none));
            try
            {
                poller.Poll(events, 0);
            }
            catch (NetpollException e)
            {
                error = e;
            }
            finally
            {
                _ = setrlimit(NumberOfFiles, &before);
            }

            Assert.Equal(Errno.EINVAL, error?.Error);
            Assert.Contains("RLIMIT_NOFILE", error!.Message, StringComparison.Ordinal);
            Assert.Equal(1, poller.Poll(events, 0));
        }
    }

    private record struct Limit(ulong Current, ulong Maximum);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrlimit(int resource, Limit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, Limit* limit);
}
