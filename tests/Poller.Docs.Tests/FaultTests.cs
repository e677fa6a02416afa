namespace Poller.Docs.Tests;

/// <summary>That these tests can fail: what is wrong with a document is told by document and line.</summary>
public sealed class FaultTests
{
    private const string Project = "<!-- is mine/A/A.csproj -->\n```xml\n<Project>", ProjectEnd = "</Project>\n```";
    private const string Backend = "using Poller.Abstractions; Console.Write(PollToken.Wakeup.Slot);";

    [Theory]
    [InlineData("int n = \"text\";", "bad.md:4: CS0029: ")]
    [InlineData("string text = null; Console.Write(text ?? \"none\");", "bad.md:4: CS8600: ")]
    [InlineData("Console.WriteLine(new NoSuchType());", "bad.md:4: CS0246: ")]
    [InlineData("throw new InvalidOperationException(\"on purpose\");", "bad.md:4: it ended with ", "on purpose")]
    [InlineData("Environment.Exit(3);", "bad.md:4: it ended with 3; 0 was expected.")]
    [InlineData("Console.WriteLine(42);", "bad.md:4: it printed \"42\"; \"\" was expected.")]
    public async Task A_wrong_program_is_told_by_its_line(string code, params string[] names)
    {
        IReadOnlyList<string> faults = await RunAsync($"# Title\n\n```csharp\n{code}\n```\n");
        foreach (string name in names) Assert.Contains(name, Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_fault_in_the_second_part_of_a_program_is_told_by_its_line()
    {
        const string Text = """
            <!-- part of one -->
            ```csharp
            static class Answer
            {
                public const int Value = "42";
            }
            ```
            <!-- part of one; prints: 42 -->
            ```csharp
            Console.WriteLine(Answer.Value);
            ```
            """;
        Assert.StartsWith("bad.md:5: CS0029: ", Assert.Single(await RunAsync(Text)), StringComparison.Ordinal);
        Assert.Empty(await RunAsync(Text.Replace("\"42\"", "42", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("prints: 4294967295", null)]
    [InlineData("prints: 4…5", null)]
    [InlineData("prints: 4294967296", "bad.md:3: it printed \"4294967295\"; \"4294967296\" was expected.")]
    [InlineData("echoes on 8888", "bad.md:3: port 8888 was expected in it.")]
    [InlineData("echoes on 4294967295", "bad.md:3: port 4294967295 was expected in it.")]
    [InlineData("needs an echo on 8888; prints: 4294967295", "bad.md:3: port 8888 was expected in it.")]
    public async Task A_program_is_held_to_the_comment_above_it(string comment, string? fault)
    {
        IReadOnlyList<string> faults = await RunAsync($"<!-- {comment} -->\n```csharp\n{Backend}\n```\n");
        if (fault is null) Assert.Empty(faults);
        else Assert.StartsWith(fault, Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_is_held_to_the_text_below_it()
    {
        const string Code = "Console.WriteLine(\"one \\ntwo\");";
        const string Text = $"<!-- prints what follows -->\n```csharp\n{Code}\n```\nIt prints\n```text\none\n…\n```\n";
        Assert.Empty(await RunAsync(Text));
        string fault = Assert.Single(await RunAsync(Text.Replace("…", "three", StringComparison.Ordinal)));
        Assert.StartsWith("bad.md:3: it printed \"one \ntwo\"; \"one\nthree\" was expected.", fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_does_not_end_is_ended()
    {
        DocProgram program = Assert.Single(DocProgram.Of(new Document("bad.md", "```csharp\nThread.Sleep(-1);\n```\n"), []));
        string fault = Assert.Single(await DocRun.RunAsync(program, TimeSpan.FromSeconds(2)));
        Assert.StartsWith("bad.md:2: it did not end in time.", fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_ends_is_no_echo_server()
    {
        string fault = Assert.Single(await RunAsync("<!-- echoes on 8888 -->\n```csharp\nConsole.Error.Write(8888);\n```\n"));
        Assert.StartsWith("bad.md:3: no echo on port ", fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("public class None { }", "No test is available")]
    [InlineData("using Xunit;\npublic class Wrong { [Fact] public void A_fact() => Assert.Equal(1, 2); }", "Wrong.A_fact")]
    public async Task Tests_that_fail_or_are_none_are_told(string code, string names)
    {
        string fault = Assert.Single(await RunAsync($"<!-- passes as tests -->\n```csharp\n{code}\n```\n"));
        Assert.StartsWith("bad.md:3: it ended with 1; 0 was expected.", fault, StringComparison.Ordinal);
        Assert.Contains(names, fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<!-- print: 1 -->\n```csharp\n```", "bad.md:2: \"print: 1\" stands above the block; ")]
    [InlineData("<!-- needs postgresql -->\n```csharp\n```", "bad.md:2: \"needs postgresql\" stands above the block; ")]
    [InlineData("<!-- -->\n```csharp\n```", "bad.md:2: \"\" stands above the block; ")]
    [InlineData("<!-- part of one -->\n```csharp\n```", "bad.md:3: the block is part of one, and no block runs that; ")]
    [InlineData("<!-- prints what follows -->\n```csharp\n```\n```sh\n```", "bad.md:2: a text block was expected below, ")]
    [InlineData("```cs\n```", "bad.md:1: a block is fenced as cs; csharp was expected.")]
    [InlineData("```\n```", "bad.md:1: a block does not say its language; ")]
    public void A_block_that_no_program_has_is_told(string text, string fault)
    {
        List<string> faults = [];
        DocProgram.Of(new Document("bad.md", text), faults);
        Assert.StartsWith(fault, Assert.Single(faults), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("# Title\n[one](src/NoSuchFolder)", "bad.md:2: the link leads to src/NoSuchFolder, which is not there.")]
    [InlineData("# Title\n[one](#titel)", "bad.md:2: bad.md has no heading #titel.")]
    [InlineData("# Title\n[one](#title) [two](README.md) [three](https://go.dev)", null)]
    [InlineData("in `src/Poller.Net` and `src/NoSuchFolder`", "bad.md:1: src/NoSuchFolder is not there.")]
    [InlineData("| Go | here |\n|---|---|\n| a | `PollDesc.cs`: `Park`, `PollPark.Parked` |\n| b | not built |", null)]
    [InlineData("| Go | here |\n|---|---|\n| a | `PollDesc.cs`: `Bark` |", "bad.md:3: PollDesc.cs declares no Bark.")]
    [InlineData(
        "| Go | here |\n|---|---|\n| a | `NoSuchFile.cs` |", "bad.md:3: NoSuchFile.cs is the end of 0 paths under src; 1 was expected.")]
    [InlineData("| Go | here |\n|---|---|\n| a | `LibC.cs` |", "bad.md:3: LibC.cs is the end of 4 paths under src; 1 was expected.")]
    [InlineData(
        "| Go | here |\n|---|---|\n| a | somewhere |", "bad.md:3: a file, or \"not built\", was expected in the column \"here\".")]
    [InlineData("```sh\ndotnet run -c Release --project samples/NoSuchSample\n```", "bad.md:2: samples/NoSuchSample is no project.")]
    [InlineData("```sh\ndotnet run -c Release --project samples/Watch -- inotify:/tmp\n```", null)]
    [InlineData("```sh\nexport A=1\ndotnet run\n```", "bad.md:3: \"dotnet run\" names no project.")]
    [InlineData("```sh\nA=1 dotnet test -c Release tests/Poller.Docs.Tests\n```", null)]
    [InlineData("```xml\n<Project />\n```", "bad.md:1: \"\" stands above the block; \"is\" and the project's path was expected.")]
    [InlineData(Project + "<ProjectReference Include=\"../../pollerkit/src/Poller.Net\" />" + ProjectEnd, null)]
    [InlineData(Project + "<ProjectReference Include=\"../A/A.csproj\" />" + ProjectEnd, null)]
    [InlineData(Project + "<ProjectReference Include=\"../B/B.csproj\" />" + ProjectEnd, "bad.md:2: ../B/B.csproj is no project.")]
    [InlineData(
        Project + "<ProjectReference Include=\"../../pollerkit/src/NoSuch\" />" + ProjectEnd,
        "bad.md:2: ../../pollerkit/src/NoSuch is no project.")]
    [InlineData(
        Project + "<PackageReference Include=\"xunit\" Version=\"0.1\" />" + ProjectEnd,
        "bad.md:2: xunit has version 0.1; the repository's is 2.9.3.")]
    [InlineData(
        Project + "<PackageReference Include=\"NoSuch\" />" + ProjectEnd, "bad.md:2: NoSuch has version none; the repository's is none.")]
    public void What_is_named_and_is_not_there_is_told(string text, string? fault)
    {
        Document document = new("bad.md", text);
        string[] faults =
        [
            .. DocChecks.Links(document, name => name == document.Name ? document : null),
            .. DocChecks.Paths(document),
            .. DocChecks.Tables(document),
            .. DocChecks.Commands(document),
            .. DocChecks.Projects(document),
        ];
        if (fault is null) Assert.Empty(faults);
        else Assert.Equal(fault, Assert.Single(faults));
    }

    private static async Task<IReadOnlyList<string>> RunAsync(string text) =>
        await DocRun.RunAsync(Assert.Single(DocProgram.Of(new Document("bad.md", text), [])));
}
