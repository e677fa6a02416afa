using System.Text.Json;

namespace Poller.Docs.Tests;

/// <summary>That README.md and docs say what is.</summary>
public sealed class DocsTests
{
    private static readonly DocProgram[] Programs = [.. Repository.Documents.SelectMany(static document => DocProgram.Of(document, []))];

    /// <summary>Where each program begins that needs nothing.</summary>
    public static TheoryData<string> Places => PlacesOf(needs: "");

    /// <summary>Where each program begins that needs a PostgreSQL server.</summary>
    public static TheoryData<string> PostgresqlPlaces => PlacesOf(needs: "postgresql");

    /// <summary>Where each program begins that needs a Redis server.</summary>
    public static TheoryData<string> RedisPlaces => PlacesOf(needs: "redis");

    [Theory]
    [MemberData(nameof(Places))]
    public async Task A_program_does_what_the_docs_say(string place) =>
        AssertNone(await DocRun.RunAsync(ProgramAt(place)));

    [PostgresqlTheory]
    [MemberData(nameof(PostgresqlPlaces))]
    public async Task A_program_that_needs_PostgreSQL_does_what_the_docs_say(string place)
    {
        using PostgresqlServer server = await PostgresqlServer.StartAsync();
        AssertNone(await DocRun.RunAsync(ProgramAt(place), environment: server.Environment));
    }

    [RedisTheory]
    [MemberData(nameof(RedisPlaces))]
    public async Task A_program_that_needs_Redis_does_what_the_docs_say(string place)
    {
        using RedisServer server = await RedisServer.StartAsync();
        AssertNone(await DocRun.RunAsync(ProgramAt(place), environment: server.Environment));
    }

    [Fact]
    public void Every_csharp_block_is_of_a_program()
    {
        List<string> faults = [];
        foreach (Document document in Repository.Documents) DocProgram.Of(document, faults);
        AssertNone(faults);
    }

    [Fact]
    public void Every_link_leads_somewhere() =>
        AssertNone(Repository.Documents.SelectMany(static document => DocChecks.Links(document, Find)));

    [Fact]
    public void Every_path_is_there() => AssertNone(Repository.Documents.SelectMany(DocChecks.Paths));

    [Fact]
    public void Every_source_in_a_table_is_there_and_declares_what_it_is_named_for() =>
        AssertNone(Repository.Documents.SelectMany(DocChecks.Tables));

    [Fact]
    public void Every_command_names_projects_that_are_there() => AssertNone(Repository.Documents.SelectMany(DocChecks.Commands));

    [Fact]
    public void Every_project_refers_to_projects_that_are_there_and_to_the_repositorys_packages() =>
        AssertNone(Repository.Documents.SelectMany(DocChecks.Projects));

    [Fact]
    public void The_targets_of_the_performance_page_are_those_of_the_full_run() =>
        Assert.Equal(TableUnder("## Targets", "docs/benchmarks/results.md"), TableUnder("## Targets", "docs/performance.md"));

    [Fact]
    public void The_HTTP_targets_of_the_performance_page_are_those_of_the_run() =>
        Assert.Equal(
            TableUnder("## Targets", "docs/benchmarks/http/results.md")
                .Where(static row => !row.EndsWith("| not measured |", StringComparison.Ordinal)),
            TableUnder("## HTTP", "docs/performance.md"));

    [Fact]
    public void The_site_has_the_API_of_each_published_assembly()
    {
        using JsonDocument site = JsonDocument.Parse(File.ReadAllText(Repository.PathTo("docfx.json")));
        IEnumerable<string> assemblies = site.RootElement.GetProperty("metadata")[0].GetProperty("src")[0].GetProperty("files").EnumerateArray()
            .Select(static file => Path.GetFileNameWithoutExtension(file.GetString()!));
        IEnumerable<string> published = Directory.GetFiles(Repository.PathTo("src"), "PublicAPI.Shipped.txt", SearchOption.AllDirectories)
            .Select(static file => Path.GetFileName(Path.GetDirectoryName(file)!));
        Assert.Equal(published.Order(StringComparer.Ordinal), assemblies);
    }

    [Fact]
    public void The_sites_table_of_contents_names_each_page()
    {
        string contents = File.ReadAllText(Repository.PathTo("docs/toc.yml"));
        IEnumerable<string> pages = Directory.GetFiles(Repository.PathTo("docs"), "*.md").Select(static file => Path.GetFileName(file));
        Assert.All(pages, page => Assert.Contains($" href: {page}\n", contents, StringComparison.Ordinal));
    }

    private static TheoryData<string> PlacesOf(string needs) =>
        [.. Programs.Where(program => program.Needs == needs).Select(static program => program.Place)];

    private static DocProgram ProgramAt(string place) => Programs.Single(program => program.Place == place);

    // The rows of the first table under the heading.
    private static string[] TableUnder(string heading, string document)
    {
        string[] lines = File.ReadAllLines(Repository.PathTo(document));
        int at = Array.IndexOf(lines, heading);
        Assert.True(at >= 0, $"{document} has no heading \"{heading}\".");
        string[] rows = [.. lines.Skip(at).SkipWhile(static line => !IsRow(line)).TakeWhile(IsRow)];
        Assert.NotEmpty(rows);
        return rows;

        static bool IsRow(string line) => line.StartsWith('|');
    }

    private static Document? Find(string name) => Repository.Documents.FirstOrDefault(document => document.Name == name);

    private static void AssertNone(IEnumerable<string> faults) => Assert.True(!faults.Any(), string.Join('\n', faults));
}
