using System.Diagnostics;

namespace Poller.Net.Tests;

/// <summary>How the descriptors are found that a service manager hands over: sd_listen_fds(3). No poller takes part.</summary>
public sealed class SocketActivationTests
{
    private static readonly int Self = Environment.ProcessId;

    [Theory]
    [InlineData(null, null, null)]
    [InlineData(null, "1", null)]
    [InlineData("1", "1", "a")] // For another process.
    [InlineData("self", "0", "")]
    [InlineData("self", "0", null)]
    public void Nothing_is_taken_that_is_not_for_this_process(string? pid, string? count, string? names)
    {
        Variables variables = new(pid == "self" ? $"{Self}" : pid, count, names);
        Assert.Empty(SocketActivation.Take(variables.Take, Self, 3));
        Assert.Empty(variables.Left);
    }

    [Theory]
    [InlineData("x", "1", null, "LISTEN_PID=\"x\": a number from 1 up was expected.")]
    [InlineData("self", "-1", null, "LISTEN_FDS=\"-1\": a number from 0 up was expected.")]
    [InlineData("self", "99999999999", null, "LISTEN_FDS=\"99999999999\": a number from 0 up was expected.")]
    [InlineData("self", "1", "a:b", "LISTEN_FDNAMES=\"a:b\": 1 names were expected, one for each of LISTEN_FDS.")]
    [InlineData("self", "1", "a", "descriptor 1000000, \"a\", is not open")]
    [InlineData("self", "1", null, "descriptor 1000000, \"unknown\", is not open")]
    [InlineData("self", "2147483647", null, "descriptor 1000000, \"unknown\", is not open")]
    public void A_variable_that_breaks_the_protocol_is_named(string pid, string count, string? names, string message)
    {
        Variables variables = new(pid == "self" ? $"{Self}" : pid, count, names);
        FormatException e = Assert.Throws<FormatException>(() => SocketActivation.Take(variables.Take, Self, 1_000_000));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
        Assert.Empty(variables.Left);
    }

    [Theory, InlineData(0), InlineData(1)]
    public void A_descriptor_that_this_process_has_opened_is_not_taken(int own)
    {
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            int first = Consecutive(read, write, own);
            using Fd one = new(first);
            using Fd two = new(first + 1);
            Variables variables = new($"{Self}", "2", "a:b");
            FormatException e = Assert.Throws<FormatException>(() => SocketActivation.Take(variables.Take, Self, first));
            string expected = $"descriptor {first + own}, \"{"ab"[own]}\", is close-on-exec, so this process has opened it";
            Assert.Contains(expected, e.Message, StringComparison.Ordinal);
            Assert.Empty(variables.Left);
            Assert.Equal(0, UnixFileApi.IsCloseOnExec(own == 0 ? two : one).Value); // Nothing was taken.
        }
    }

    [Fact]
    public void The_environment_is_read_and_cleared()
    {
        Environment.SetEnvironmentVariable("LISTEN_PID", "1");
        Environment.SetEnvironmentVariable("LISTEN_FDS", "1");
        Environment.SetEnvironmentVariable("LISTEN_FDNAMES", "other");
        Environment.SetEnvironmentVariable("LISTEN_PIDFDID", "1");
        Assert.Empty(SocketActivation.Take());
        Assert.All(
            ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"],
            static name => Assert.Null(Environment.GetEnvironmentVariable(name)));
    }

    // Two duplicates whose numbers follow each other, as those from 3 up do. Returns the first number. One of them may be this process's
    // own, and so close-on-exec.
    internal static int Consecutive(Fd one, Fd other, int own = -1)
    {
        for (int from = 500; from < 1000; from += 10)
        {
            Fd first = own == 0 ? one.Duplicate(from) : one.DuplicateInherited(from);
            Fd second = own == 1 ? other.Duplicate(first.Number + 1) : other.DuplicateInherited(first.Number + 1);
            if (second.Number == first.Number + 1) return first.Number;
            first.Dispose();
            second.Dispose();
        }
        throw new UnreachableException("no two numbers from 500 to 1,000 follow each other.");
    }

    internal sealed class Variables(string? pid, string? count, string? names)
    {
        public Dictionary<string, string?> Left { get; } = new()
        {
            ["LISTEN_PID"] = pid,
            ["LISTEN_FDS"] = count,
            ["LISTEN_FDNAMES"] = names,
            ["LISTEN_PIDFDID"] = "1",
        };

        public string? Take(string name)
        {
            Left.Remove(name, out string? value);
            return value;
        }
    }
}
