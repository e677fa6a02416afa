using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Poller.Abstractions.Tests;

public sealed class ErrnoTests
{
    [Fact]
    public void A_named_error_has_the_number_of_this_system()
    {
        if (!OperatingSystem.IsLinux()) return;
        Assert.Equal(11, Errno.EAGAIN.Number);
        Assert.Equal(115, Errno.EINPROGRESS.Number);
    }

    [Theory]
    [InlineData("EAGAIN", 35)]
    [InlineData("EINPROGRESS", 36)]
    [InlineData("EALREADY", 37)]
    [InlineData("ENOTSOCK", 38)]
    [InlineData("EADDRINUSE", 48)]
    [InlineData("ECONNABORTED", 53)]
    [InlineData("ECONNRESET", 54)]
    [InlineData("ENOTCONN", 57)]
    [InlineData("ETIMEDOUT", 60)]
    [InlineData("ECONNREFUSED", 61)]
    [InlineData("EHOSTUNREACH", 65)]
    [InlineData("ENOSYS", 78)]
    public void On_macOS_and_the_BSDs_a_name_has_the_number_of_their_header(string name, int number)
    {
        foreach (ErrnoTable table in (ErrnoTable[])[ErrnoTable.MacOS, ErrnoTable.FreeBSD, ErrnoTable.NetBSD, ErrnoTable.OpenBSD])
        {
            Assert.Equal(number, table.NumberOf(name));
            Assert.Equal(name, table.NameOf(number));
        }
    }

    [Fact]
    public void Each_system_has_a_number_of_its_own_for_a_protocol_error()
    {
        Assert.Equal(
            [71, 100, 92, 96, 95],
            new[] { ErrnoTable.Linux, ErrnoTable.MacOS, ErrnoTable.FreeBSD, ErrnoTable.NetBSD, ErrnoTable.OpenBSD }
                .Select(static table => table.NumberOf("EPROTO")));
    }

    [Fact]
    public void On_macOS_a_socket_answers_another_number_for_what_it_does_not_support()
    {
        Assert.Equal(102, ErrnoTable.MacOS.NumberOf("EOPNOTSUPP"));
        Assert.All([ErrnoTable.FreeBSD, ErrnoTable.NetBSD, ErrnoTable.OpenBSD], table => Assert.Equal(45, table.NumberOf("EOPNOTSUPP")));
    }

    /// <summary>The errors that the backends, the kit and the net layer tell apart, in each system's numbers.</summary>
    [Fact]
    public void No_two_names_share_a_number_on_any_system()
    {
        string[] names = [.. typeof(Errno).GetProperties(BindingFlags.Public | BindingFlags.Static)
            .Select(static property => property.Name)
            .Where(static name => name != nameof(Errno.None))];
        foreach (ErrnoTable table in (ErrnoTable[])
            [ErrnoTable.Linux, ErrnoTable.MacOS, ErrnoTable.FreeBSD, ErrnoTable.NetBSD, ErrnoTable.OpenBSD])
        {
            Assert.All(names, name => Assert.Equal(name, table.NameOf(table.NumberOf(name))));
        }
    }

    /// <summary>A constant beside the table would be right on one system and wrong on the next.</summary>
    [Fact]
    public void No_source_has_a_number_for_an_error_but_the_table()
    {
        PropertyInfo[] properties = typeof(Errno).GetProperties(BindingFlags.Public | BindingFlags.Static);
        string[] names = [.. properties.Select(static property => property.Name)];
        Regex constant = new($@"(const|static readonly) int ([^;]*[ ,])?({string.Join('|', names)}) =");
        string[] files = Directory.GetFiles(Path.Combine(Repository(), "src"), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        Assert.Empty(files.Where(file => constant.IsMatch(File.ReadAllText(file))).Select(Path.GetFileName));
        Assert.Matches(constant, "    private const int EPERM = 1, EBADF = 9;");

        // Not by the path of this file, which a deterministic build does not tell.
        static string Repository()
        {
            DirectoryInfo? folder = new(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "PollerKit.sln"))) folder = folder.Parent;
            return folder?.FullName ?? throw new InvalidOperationException($"{AppContext.BaseDirectory}: a folder of the repository was expected.");
        }
    }

    [Fact]
    public void Eleven_is_no_EAGAIN_on_macOS() => Assert.NotEqual("EAGAIN", ErrnoTable.MacOS.NameOf(11));

    [Fact]
    public void A_name_that_a_system_does_not_have_has_a_number_that_no_call_returns() =>
        Assert.True(ErrnoTable.MacOS.NumberOf("ENONET") < 0);

    [Fact]
    public void Every_named_error_is_told_from_every_other()
    {
        Errno[] all = [.. typeof(Errno).GetProperties(BindingFlags.Public | BindingFlags.Static)
            .Select(static property => (Errno)property.GetValue(null)!)];
        Assert.Equal(all.Length, all.Distinct().Count());
    }

    [Fact]
    public void An_error_shows_its_name_and_number()
    {
        Assert.Equal($"EAGAIN ({Errno.EAGAIN.Number})", Errno.EAGAIN.ToString());
        Assert.Equal("errno 4711", new Errno(4711).ToString());
        Assert.Equal("none", Errno.None.ToString());
        Assert.Null(new Errno(4711).Name);
        Assert.Equal(Marshal.GetPInvokeErrorMessage(Errno.EBADF.Number), Errno.EBADF.Message);
    }

    [Fact]
    public void Errors_are_compared_by_their_numbers()
    {
        Assert.True(new Errno(Errno.EPIPE.Number) == Errno.EPIPE);
        Assert.True(Errno.EPIPE != Errno.EPERM);
        Assert.Equal(Errno.EPIPE, (object)new Errno(Errno.EPIPE.Number));
        Assert.Equal(Errno.None, default);
    }
}
