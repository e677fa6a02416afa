using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class LinuxSocketApiTests
{
    private static (IoResult, IoResult) Expected => (Errno.EAGAIN, Errno.EBADF);

    // Errno is read after the call, and not by the code that SetLastError generates: a collection in between must not change it.
    [Fact]
    public async Task A_failing_call_answers_its_own_errno_whatever_the_collector_does()
    {
        if (!OperatingSystem.IsLinux()) return;
        const int NoDescriptor = 1_000_000;
        using Socket listener = Raw.Listen();
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint!);
        client.Blocking = false;
        nint fd = client.Handle;
        long start = Stopwatch.GetTimestamp();

        Task<(IoResult, IoResult)>[] callers = [.. Enumerable.Range(0, 2).Select(_ => new Operation<(IoResult, IoResult)>(Call).Task)];
        while (!IsOver()) GC.Collect(0);
        Assert.All(await Task.WhenAll(callers), static results => Assert.Equal(Expected, results));

        bool IsOver() => Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(1);

        (IoResult, IoResult) Call()
        {
            byte[] buffer = new byte[64];
            (IoResult, IoResult) results = Expected;
            while (!IsOver())
            {
                results = (LinuxSocketApi.Instance.Receive(fd, buffer), LinuxSocketApi.Instance.Receive(NoDescriptor, buffer));
                if (results != Expected) break;
            }
            return results;
        }
    }

    // One test for the whole process takes the highest number.
    [Fact]
    public void A_duplicate_gets_a_number_above_its_own_and_any_free_one_at_the_limit()
    {
        if (!OperatingSystem.IsLinux()) return;
        using Fd socket = Fd.TcpSocket();
        using Fd high = socket.Duplicate(800); // Nothing else opens numbers so high.
        for (int i = 0; i < 3; i++)
        {
            using Fd duplicate = new(LinuxSocketApi.Instance.Duplicate(high).Value);
            Assert.InRange(duplicate.Number, high.Number + 1, int.MaxValue);
        }
        using Fd highest = socket.Duplicate(Limit() - 1);
        using (Fd duplicate = new(LinuxSocketApi.Instance.Duplicate(highest).Value))
        {
            Assert.InRange(duplicate.Number, 3, highest.Number - 1);
        }

        // How many numbers this process may have.
        static int Limit()
        {
            string limit = File.ReadLines("/proc/self/limits")
                .First(static line => line.StartsWith("Max open files", StringComparison.Ordinal));
            return int.Parse(limit.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3], CultureInfo.InvariantCulture);
        }
    }
}
