namespace Poller.Abstractions.Tests;

public class PollEventTests
{
    [Fact]
    public void An_event_is_its_token_and_its_readiness()
    {
        PollEvent found = new(new PollToken(3, 4), PollReadiness.Readable | PollReadiness.ReadHangup);
        (PollToken token, PollReadiness readiness) = found;

        Assert.Equal(new PollToken(3, 4), token);
        Assert.Equal(PollReadiness.Readable | PollReadiness.ReadHangup, readiness);
        Assert.Equal(found, new PollEvent(token, readiness));
        Assert.NotEqual(found, found with { Readiness = PollReadiness.Readable });
        Assert.NotEqual(found, found with { Token = new PollToken(3, 5) });
    }

    [Fact]
    public void The_default_event_says_nothing()
    {
        Assert.Equal(PollReadiness.None, default(PollEvent).Readiness);
        Assert.NotEqual(PollToken.Wakeup, default(PollEvent).Token);
    }

    [Fact]
    public void Readiness_is_four_bits_of_their_own()
    {
        PollReadiness[] bits = [PollReadiness.Readable, PollReadiness.Writable, PollReadiness.ReadHangup, PollReadiness.Error];

        Assert.All(bits, bit => Assert.Equal(1, int.PopCount((int)bit)));
        Assert.Equal(bits.Length, bits.Distinct().Count());
        Assert.Equal("Readable, Writable", (PollReadiness.Readable | PollReadiness.Writable).ToString());
    }

    [Fact]
    public void ReadWrite_is_both_modes() => Assert.Equal(PollMode.Read | PollMode.Write, PollMode.ReadWrite);
}
