using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class PollCacheTests
{
    [Fact]
    public void A_freed_desc_is_recycled_under_a_new_token()
    {
        PollCache cache = new();
        PollDesc first = cache.Alloc(3);
        PollToken token = first.Token;
        cache.Free(first);
        PollDesc second = cache.Alloc(4);
        Assert.Same(first, second);
        Assert.Equal(4, second.Fd);
        Assert.NotEqual(token, second.Token);
        Assert.Same(second, cache.Find(token));
    }

    [Fact]
    public void A_freed_desc_is_watched_by_nobody()
    {
        PollCache cache = new();
        PollDesc desc = cache.Alloc(3);
        Assert.Null(cache.WatchHangup(desc, new TestWaiter()));
        cache.Free(desc);
        Assert.Null(cache.TakeHangupWatch(cache.Alloc(4)));
    }

    [Fact]
    public void Every_desc_is_found_by_its_token_while_the_cache_grows()
    {
        PollCache cache = new();
        PollDesc[] all = [.. Enumerable.Range(0, 10_000).Select(i => cache.Alloc(i))];
        Assert.All(all, desc => Assert.Same(desc, cache.Find(desc.Token)));
        Assert.Equal(all.Length, cache.Snapshot().Length);
        Assert.Null(cache.Find(PollToken.Wakeup));
        Assert.Null(cache.Find(new PollToken(10_000, 0)));
    }

    [Fact]
    public async Task Concurrent_allocs_never_share_a_desc()
    {
        PollCache cache = new();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            for (int i = 0; i < 20_000; i++)
            {
                PollDesc desc = cache.Alloc(worker);
                Assert.Equal(worker, desc.Fd);
                cache.Free(desc);
            }
        })));
        Assert.InRange(cache.Snapshot().Length, 1, 4);
    }
}
