using System.Text.Json;
using Microsoft.Playwright;

namespace WebApp.Tests;

/// <summary>The page, in a headless Chromium. Each test leaves a screenshot beside this assembly.</summary>
public sealed class PageTests : IAsyncLifetime
{
    // What the page shows each time a sample has come, from now on.
    private const string Record = """
        () => {
            const number = id => Number(document.querySelector(`#${id} output`).textContent.replaceAll(',', ''));
            window.records = [];
            new MutationObserver(() => window.records.push({
                blocks: document.getElementById('block').textContent !== 'Block for a second',
                handOvers: number('hand-overs'),
                blocked: number('blocked'),
                polls: number('polls'),
                trips: performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('/plaintext')).length,
            })).observe(document.body, { attributeFilter: ['data-samples'] });
        }
        """;

    private readonly List<string> _faults = [];
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async Task InitializeAsync()
    {
        if (BrowserFactAttribute.Browser is not { } path) return;
        _playwright = await Playwright.CreateAsync().Within();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = path, Args = ["--no-sandbox"] }).Within();
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync().Within();
        _playwright?.Dispose();
    }

    [BrowserFact]
    public async Task The_hand_over_of_a_handler_that_blocks_appears_while_the_other_figures_go_on()
    {
        using AppProcess app = await AppProcess.StartAsync("--transport", "poller");
        IPage page = await OpenAsync(app, 1280, 1000);
        await page.EvaluateAsync(Record);
        await SamplesAsync(page, 2);

        // A busy machine may take longer for two samples than the handler blocks: then it blocks again.
        JsonElement[] records, during;
        int seen = 0, tries = 0;
        do
        {
            Assert.InRange(++tries, 1, 10);
            await BlockAsync(page);
            records = [.. (await page.EvaluateAsync<JsonElement>("window.records"))!.EnumerateArray().Skip(seen)];
            seen += records.Length - 1; // The last one is what the next block is held against.
            int before = Number(records.TakeWhile(static record => !Blocks(record)).Last(), "handOvers");
            during = [.. records.Where(record => Blocks(record) && Number(record, "blocked") > 0 && Number(record, "handOvers") > before)];
        }
        while (during.Length < 2 || Number(during[^1], "trips") == Number(during[0], "trips"));
        await page.ScreenshotAsync(new() { Path = PathOf("page.png"), FullPage = true });

        Assert.Contains(during, static record => Number(record, "polls") > 0);
        Assert.Equal(0, Number(records[^1], "blocked"));
        Assert.Empty(_faults);
    }

    [BrowserFact]
    public async Task The_page_fits_a_narrow_window()
    {
        using AppProcess app = await AppProcess.StartAsync("--transport", "poller", "Poller:Loops=2");
        IPage page = await OpenAsync(app, 360, 800, ColorScheme.Dark);
        await BlockAsync(page);
        await page.ScreenshotAsync(new() { Path = PathOf("page-narrow.png"), FullPage = true });
        Assert.Equal(360, await page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
        Assert.Empty(_faults);
    }

    [BrowserFact]
    public async Task Over_the_sockets_transport_the_page_says_that_it_sees_no_loops()
    {
        using AppProcess app = await AppProcess.StartAsync("--transport", "sockets");
        IPage page = await OpenAsync(app, 1000, 700);
        await SamplesAsync(page, 4);
        await page.ScreenshotAsync(new() { Path = PathOf("page-sockets.png"), FullPage = true });
        Assert.Contains("--transport poller", await page.InnerTextAsync("#note"), StringComparison.Ordinal);
        Assert.True(await page.IsHiddenAsync("#hand-overs"));
        Assert.True(await page.IsVisibleAsync("#trip"));
        Assert.Empty(_faults);
    }

    private static bool Blocks(JsonElement record) => record.GetProperty("blocks").GetBoolean();

    private static int Number(JsonElement record, string name) => record.GetProperty(name).GetInt32();

    private static string PathOf(string screenshot) => Path.Combine(AppContext.BaseDirectory, screenshot);

    // Awaits some samples more.
    private static async Task SamplesAsync(IPage page, int count)
    {
        int seen = await page.EvaluateAsync<int>("Number(document.body.dataset.samples ?? 0)");
        await page.WaitForFunctionAsync("count => Number(document.body.dataset.samples ?? 0) >= count", seen + count);
    }

    // Presses the button until there is a row of a handler that held its thread for a second; others may have held theirs while the app was
    // young. A request whose bytes are there before Kestrel waits for them runs on the pool, and has no row.
    private static async Task BlockAsync(IPage page)
    {
        int tries = 0;
        do
        {
            Assert.InRange(++tries, 1, 10);
            await page.ClickAsync("#block");
            await page.WaitForFunctionAsync("document.getElementById('block').textContent !== 'Block for a second'");
            await page.WaitForFunctionAsync("document.getElementById('block').textContent === 'Block for a second'");
            await SamplesAsync(page, 2);
        }
        while (!await page.EvaluateAsync<bool>(
            "[...document.querySelectorAll('#stalls td:nth-child(3)')].some(cell => /^[1-9][.][0-9]+ s$/.test(cell.textContent))"));
    }

    private async Task<IPage> OpenAsync(AppProcess app, int width, int height, ColorScheme colors = ColorScheme.Light)
    {
        IPage page = await _browser!.NewPageAsync(new()
        {
            ViewportSize = new() { Width = width, Height = height },
            ColorScheme = colors,
        });
        page.PageError += (_, error) => _faults.Add(error);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") _faults.Add(message.Text);
        };
        await page.GotoAsync($"{app.Http}");
        await SamplesAsync(page, 1);
        Assert.Equal("live", await page.InnerTextAsync("#status"));
        return page;
    }
}

/// <summary>A test that needs Chromium. Playwright itself downloads none here.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute() => Skip = Browser is null ? "chromium is not installed; apt-get install chromium" : null;

    public static string? Browser { get; } =
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Select(static folder => Path.Combine(folder, "chromium"))
            .FirstOrDefault(File.Exists);
}
