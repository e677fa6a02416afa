using System.Net.Sockets;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace Poller.Net.Tests;

/// <summary>
/// The texts of Unix addresses: each is a path or an abstract name, or a <see cref="FormatException"/> that says why not.
/// </summary>
public sealed class UnixAddressTests : NetTest<EpollBackend>
{
    private static readonly string[] Pieces =
    [
        "@", "/", ".", "..", "a", "tmp", "\0", "\n", " ", ":", "ü", "😀", "\ud83d", "\ude00", "\u202e", new string('x', 50),
        new string('ü', 30),
    ];

    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Elements(Pieces).ListOf().Select(static pieces => string.Concat(pieces)),
        ArbMap.Default.GeneratorFor<string>().Select(static text => text ?? ""));

    [Property(MaxTest = 5_000, EndSize = 8)]
    public Property Any_text_is_an_address_or_malformed() => Prop.ForAll(Texts.ToArbitrary(), static text =>
    {
        foreach (bool isRemote in (bool[])[false, true])
        {
            UnixDomainSocketEndPoint address;
            try
            {
                address = isRemote ? UnixAddress.ParseRemote(text) : UnixAddress.ParseLocal(text);
            }
            catch (FormatException e)
            {
                Assert.StartsWith("address \"", e.Message, StringComparison.Ordinal);
                Assert.DoesNotContain(e.Message, char.IsControl);
                continue;
            }

            // What was decoded is what the system gets, and shows itself as the text.
            Assert.Equal(text.Length == 0 ? "@" : text, address.ToString());
            Assert.Equal(text.Length == 0 || text[0] == '@', SocketAddressBytes.UnixName(address)[0] == 0);
            Assert.InRange(SocketAddressBytes.UnixName(address).Length, 1, 108);
        }
    });

    [Theory]
    [InlineData("", "names no socket")]
    [InlineData("@", "names no socket")]
    [InlineData("/tmp/a\0b", "has a NUL")]
    [InlineData("@a\0b", "has a NUL")]
    public void What_no_socket_can_be_dialed_by_is_refused(string text, string problem)
    {
        FormatException e = Assert.Throws<FormatException>(() => UnixAddress.ParseRemote(text));
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Half_of_a_surrogate_pair_is_refused()
    {
        // An attribute would keep it as UTF-8, which cannot.
        FormatException e = Assert.Throws<FormatException>(() => UnixAddress.ParseRemote("/tmp/\ud800"));
        Assert.Equal(
            "address \"/tmp/\\ud800\": half of a surrogate pair stands alone; a text that UTF-8 can encode was expected.", e.Message);
    }

    [Fact]
    public void A_path_or_name_that_is_too_long_is_refused_with_its_length_and_the_limit()
    {
        foreach (string longest in (string[])["/" + new string('p', 106), "@" + new string('n', 107), "ü" + new string('p', 105)])
        {
            Assert.Equal(longest, UnixAddress.ParseRemote(longest).ToString());
            string kind = longest[0] == '@' ? "an abstract name" : "a path";
            FormatException e = Assert.Throws<FormatException>(() => UnixAddress.ParseLocal(longest + "x"));
            Assert.EndsWith($"it has 108 bytes as UTF-8; {kind} of a Unix socket has 107 at most.", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_longest_path_and_the_longest_name_carry_a_connection()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        string path = directory.NewPath();
        path += new string('p', 107 - path.Length);
        foreach (string address in (string[])[path, $"@{Guid.NewGuid():N}{new string('n', 75)}"])
        {
            using ConnListener listener = fixture.Net.Listen("unix", address);
            using Conn client = await fixture.Net.DialAsync("unix", address).Within();
            using Conn server = await listener.AcceptAsync().Within();
            Assert.Equal(address, server.LocalEndPoint.ToString());
            Assert.Equal(address, client.RemoteEndPoint.ToString());
        }
        Assert.Empty(directory.Files);
    }

    [Fact]
    public void An_end_point_that_names_no_socket_is_refused()
    {
        using Fixture fixture = new();
        Check(() => fixture.Net.ListenUnix(new UnixDomainSocketEndPoint("/tmp/a\0b")), "local", "has a NUL");
        Check(() => fixture.Net.DialUnix(new UnixDomainSocketEndPoint("/tmp/a\0b")), "remote", "has a NUL");
        Check(() => fixture.Net.DialUnix(new UnixDomainSocketEndPoint("\0")), "remote", "names no socket");
        Check(() => fixture.Net.ListenUnix(SocketAddressBytes.Unnamed), "local", "without a name");
        Assert.Throws<ArgumentNullException>("local", () => fixture.Net.ListenUnix(null!));
        Assert.Throws<ArgumentNullException>("remote", () => fixture.Net.DialUnix(null!));

        static void Check(Func<object> action, string parameter, string problem)
        {
            ArgumentException e = Assert.Throws<ArgumentException>(parameter, action);
            Assert.Contains(problem, e.Message, StringComparison.Ordinal);
        }
    }
}
