using System.Xml.Linq;
using Markdig.Extensions.Tables;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Poller.Docs.Tests;

/// <summary>What the docs name is there. Each check returns what is not, by document and line.</summary>
internal static class DocChecks
{
    // A table with a column of this name says where each thing stands: a file and its members, or that there is none.
    private const string WhereColumn = "here";

    // What the docs' projects outside of the repository call the folder of its clone.
    private const string Clone = "pollerkit/";

    private static readonly string[] Folders = ["src/", "tests/", "samples/", "docs/", "benchmarks/"];

    private static readonly string[] Sources = Directory.GetFiles(Repository.PathTo("src"), "*.cs", SearchOption.AllDirectories);

    private static readonly Dictionary<string, HashSet<string>> Members = [];

    private static readonly Dictionary<string, string> Packages =
        XDocument.Load(Repository.PathTo("Directory.Packages.props")).Descendants("PackageVersion")
            .ToDictionary(static package => (string)package.Attribute("Include")!, static package => (string)package.Attribute("Version")!);

    /// <summary>Links to files, folders and headings.</summary>
    public static IEnumerable<string> Links(Document document, Func<string, Document?> find)
    {
        foreach (LinkInline link in document.Links)
        {
            string url = link.Url ?? "";
            if (Uri.TryCreate(url, UriKind.Absolute, out _)) continue;
            string[] parts = url.Split('#', 2);
            string path = document.Name;
            if (parts[0].Length > 0)
            {
                string folder = Repository.PathTo(Path.GetDirectoryName(document.Name)!);
                path = Path.GetRelativePath(Repository.Root, Path.GetFullPath(parts[0], folder));
                if (!Repository.Has(path))
                {
                    yield return $"{document.At(link)}: the link leads to {url}, which is not there.";
                    continue;
                }
            }
            if (parts.Length == 1 || find(path) is { } other && other.Anchors.Contains(parts[1])) continue;
            yield return $"{document.At(link)}: {path} has no heading #{parts[1]}.";
        }
    }

    /// <summary>Paths from the top of the repository that stand in the text as code.</summary>
    public static IEnumerable<string> Paths(Document document) =>
        from span in document.CodeSpans
        where Folders.Any(folder => span.Content.StartsWith(folder, StringComparison.Ordinal)) && !Repository.Has(span.Content)
        select $"{document.At(span)}: {span.Content} is not there.";

    /// <summary>In a table's cell: <c>PollDesc.cs</c> is the end of one source's path, and what follows it is declared there.</summary>
    public static IEnumerable<string> Tables(Document document)
    {
        foreach (Table table in document.Tables)
        {
            int where = ((TableRow)table[0]).ToList().FindIndex(static cell => Text((TableCell)cell) == WhereColumn);
            foreach (TableRow row in table.Skip(1).Cast<TableRow>())
            {
                foreach (string fault in row.Cast<TableCell>().SelectMany(Cell)) yield return $"{document.At(row)}: {fault}";
                if (where < 0) continue;
                TableCell here = (TableCell)row[where];
                if (Text(here).StartsWith("not ", StringComparison.Ordinal) || Spans(here).Any(IsSource)) continue;
                yield return $"{document.At(row)}: a file, or \"not built\", was expected in the column \"{WhereColumn}\".";
            }
        }
    }

    /// <summary>Projects that commands in sh blocks name.</summary>
    public static IEnumerable<string> Commands(Document document)
    {
        foreach (FencedCodeBlock block in document.Blocks.Where(static block => block.Info == "sh"))
        {
            string[] lines = block.Lines.ToString().Split('\n');
            for (int i = 0; i < lines.Length; i++)
            {
                string[] words = lines[i].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                int dotnet = Array.IndexOf(words, "dotnet");
                if (dotnet < 0) continue;
                string at = $"{document.Name}:{block.Line + 2 + i}";

                // Without a project it is the solution, which all but run take. What follows -- is the program's own.
                IEnumerable<string> options = words.Skip(dotnet + 2).TakeWhile(static word => word != "--");
                List<string> projects = [.. options.Where(static word => word.Contains('/', StringComparison.Ordinal))];
                if (projects.Count == 0 && words[dotnet + 1] == "run") yield return $"{at}: \"{lines[i]}\" names no project.";
                foreach (string project in projects)
                {
                    if (!IsProject(project)) yield return $"{at}: {project} is no project.";
                }
            }
        }
    }

    /// <summary>
    /// Projects and packages that a project in an xml block refers to. The comment above the block, "is mine/A/A.csproj", says where it
    /// stands, beside the clone of the repository.
    /// </summary>
    public static IEnumerable<string> Projects(Document document)
    {
        Dictionary<string, FencedCodeBlock> projects = [];
        foreach (FencedCodeBlock block in document.Blocks.Where(static block => block.Info == "xml"))
        {
            string comment = Document.CommentAbove(block) ?? "";
            if (comment.StartsWith("is ", StringComparison.Ordinal)) projects.Add(comment["is ".Length..], block);
            else yield return $"{document.At(block)}: \"{comment}\" stands above the block; \"is\" and the project's path was expected.";
        }
        foreach ((string path, FencedCodeBlock block) in projects)
        {
            XElement project = XElement.Parse(block.Lines.ToString());
            foreach (string include in project.Descendants("ProjectReference").Select(Include))
            {
                string full = Path.GetFullPath(include, "/" + Path.GetDirectoryName(path))[1..];
                bool isInClone = full.StartsWith(Clone, StringComparison.Ordinal);
                if (isInClone ? IsProject(full[Clone.Length..]) : projects.ContainsKey(full)) continue;
                yield return $"{document.At(block)}: {include} is no project.";
            }
            foreach (XElement package in project.Descendants("PackageReference"))
            {
                string version = Packages.GetValueOrDefault(Include(package), "none");
                string said = (string?)package.Attribute("Version") ?? "none";
                if (said == version && said != "none") continue;
                yield return $"{document.At(block)}: {Include(package)} has version {said}; the repository's is {version}.";
            }
        }

        static string Include(XElement reference) => (string)reference.Attribute("Include")!;
    }

    private static IEnumerable<string> Cell(TableCell cell)
    {
        string? source = null;
        foreach (string span in Spans(cell))
        {
            if (IsSource(span))
            {
                string[] found = Array.FindAll(Sources, file => file.EndsWith("/" + span, StringComparison.Ordinal));
                source = found.Length == 1 ? found[0] : null;
                if (source is null) yield return $"{span} is the end of {found.Length} paths under src; 1 was expected.";
            }
            else if (source is not null)
            {
                foreach (string name in span.Split('.').Where(name => !MembersOf(source).Contains(name)))
                {
                    yield return $"{Path.GetFileName(source)} declares no {name}.";
                }
            }
        }
    }

    private static bool IsProject(string path) => File.Exists(Repository.PathTo(path))
        || (Directory.Exists(Repository.PathTo(path)) && Directory.GetFiles(Repository.PathTo(path), "*.csproj").Length == 1);

    private static bool IsSource(string span) => span.EndsWith(".cs", StringComparison.Ordinal);

    private static IEnumerable<string> Spans(TableCell cell) => cell.Descendants<CodeInline>().Select(static span => span.Content);

    private static string Text(TableCell cell) =>
        string.Concat(cell.Descendants<LiteralInline>().Select(static text => text.Content.ToString())).Trim();

    private static HashSet<string> MembersOf(string source)
    {
        if (Members.TryGetValue(source, out HashSet<string>? members)) return members;
        SyntaxNode root = CSharpSyntaxTree.ParseText(File.ReadAllText(source)).GetRoot();
        return Members[source] = [.. root.DescendantNodes().Select(NameOf).OfType<string>()];
    }

    private static string? NameOf(SyntaxNode node) => node switch
    {
        DelegateDeclarationSyntax type => type.Identifier.ValueText,
        BaseTypeDeclarationSyntax type => type.Identifier.ValueText,
        MethodDeclarationSyntax method => method.Identifier.ValueText,
        PropertyDeclarationSyntax property => property.Identifier.ValueText,
        VariableDeclaratorSyntax { Parent.Parent: FieldDeclarationSyntax } field => field.Identifier.ValueText,
        EnumMemberDeclarationSyntax member => member.Identifier.ValueText,
        ParameterSyntax { Parent.Parent: RecordDeclarationSyntax } parameter => parameter.Identifier.ValueText,
        _ => null,
    };
}
