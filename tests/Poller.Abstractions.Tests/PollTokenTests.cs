namespace Poller.Abstractions.Tests;

public class PollTokenTests
{
    public static TheoryData<uint, uint, ulong> Halves => new()
    {
        { 0, 0, 0 },
        { 0, 1, 1 },
        { 1, 0, 0x1_0000_0000 },
        { 1, 2, 0x1_0000_0002 },
        { 0, uint.MaxValue, 0xffff_ffff },
        { uint.MaxValue, 0, 0xffff_ffff_0000_0000 },
        { 0x8000_0000, 0x8000_0000, 0x8000_0000_8000_0000 },
        { uint.MaxValue, uint.MaxValue - 1, ulong.MaxValue - 1 },
    };

    [Theory]
    [MemberData(nameof(Halves))]
    public void Slot_and_sequence_are_packed_and_come_back(uint slot, uint sequence, ulong value)
    {
        PollToken token = new(slot, sequence);

        Assert.Equal(value, token.Value);
        Assert.Equal((slot, sequence), (token.Slot, token.Sequence));
        Assert.Equal(token, new PollToken(value));
    }

    [Fact]
    public void Any_halves_round_trip()
    {
        Random random = new(1);
        for (int i = 0; i < 10_000; i++)
        {
            uint slot = (uint)random.NextInt64(1L << 32), sequence = (uint)random.NextInt64(1L << 32);
            PollToken token = new(new PollToken(slot, sequence).Value);

            Assert.Equal((slot, sequence), (token.Slot, token.Sequence));
        }
    }

    [Fact]
    public void Tokens_are_equal_when_all_their_bits_are()
    {
        PollToken token = new(7, 9);

        Assert.Equal(token, new PollToken((7UL << 32) | 9));
        Assert.Equal(token.GetHashCode(), new PollToken(7, 9).GetHashCode());
        Assert.True(token == new PollToken(7, 9));
        Assert.True(token != new PollToken(7, 8));
        Assert.True(token != new PollToken(6, 9));
        Assert.True(token != new PollToken(9, 7));
    }

    [Fact]
    public void Wakeup_is_all_ones_and_not_the_default()
    {
        Assert.Equal(ulong.MaxValue, PollToken.Wakeup.Value);
        Assert.Equal(PollToken.Wakeup, new PollToken(uint.MaxValue, uint.MaxValue));
        Assert.NotEqual(PollToken.Wakeup, default);
    }

    [Theory]
    [InlineData(0, "0x0000000000000000")]
    [InlineData(0x0000_0001_0000_0002, "0x0000000100000002")]
    [InlineData(0xdead_beef_0000_00ff, "0xdeadbeef000000ff")]
    [InlineData(ulong.MaxValue, "0xffffffffffffffff")]
    public void ToString_is_sixteen_hexadecimal_digits(ulong value, string text) => Assert.Equal(text, new PollToken(value).ToString());
}
