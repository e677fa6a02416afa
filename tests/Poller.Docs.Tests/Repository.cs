namespace Poller.Docs.Tests;

/// <summary>The folder that the docs speak of.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>README.md, what stands in docs, and the packages' READMEs.</summary>
    public static IReadOnlyList<Document> Documents { get; } =
    [
        .. Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Prepend(Path.Combine(Root, "README.md"))
            .Concat(Directory.EnumerateDirectories(Path.Combine(Root, "src")).Select(static folder => Path.Combine(folder, "README.md")))
            .Select(static file => new Document(Path.GetRelativePath(Root, file), File.ReadAllText(file))),
    ];

    public static string PathTo(string path) => Path.Combine(Root, path);

    /// <summary>
    /// A sample's assembly, where it was built. Beside the tests' own assembly it would lack what the tests get from their shared framework.
    /// </summary>
    public static string AssemblyOf(string sample)
    {
        string output = Path.GetRelativePath(PathTo("tests/Poller.Docs.Tests"), AppContext.BaseDirectory); // bin, configuration and framework.
        return PathTo(Path.Combine("samples", sample, output, sample + ".dll"));
    }

    public static bool Has(string path) => Path.Exists(PathTo(path));

    private static string FindRoot()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "PollerKit.sln"))) return folder;
        }
        throw new DirectoryNotFoundException($"PollerKit.sln was expected in a folder above {AppContext.BaseDirectory}.");
    }
}
