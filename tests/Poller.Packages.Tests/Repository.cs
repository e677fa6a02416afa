using System.Xml.Linq;

namespace Poller.Packages.Tests;

/// <summary>The repository whose packages are tested.</summary>
internal static class Repository
{
    private static readonly Dictionary<string, string> Versions =
        XDocument.Load(Path.Combine(FindRoot(), "Directory.Packages.props")).Descendants("PackageVersion")
            .ToDictionary(static package => (string)package.Attribute("Include")!, static package => (string)package.Attribute("Version")!);

    public static string Root { get; } = FindRoot();

    /// <summary>The names of the published projects, each of which is a package.</summary>
    public static IReadOnlyList<string> Projects { get; } =
        [.. new DirectoryInfo(Path.Combine(Root, "src")).GetDirectories().Select(static folder => folder.Name).Order()];

    /// <summary>The version of another's package that the repository uses.</summary>
    public static string VersionOf(string package) => Versions[package];

    /// <summary>A published project's file.</summary>
    public static XDocument Project(string name) => XDocument.Load(Path.Combine(Root, "src", name, name + ".csproj"));

    /// <summary>Copies the sources, without what a build has added.</summary>
    public static void CopyTo(string folder) => Copy(Root, folder);

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string entry in Directory.GetFileSystemEntries(from))
        {
            string name = Path.GetFileName(entry);
            if (name is ".git" or "bin" or "obj" or "artifacts" or "TestResults" or "_site") continue;
            if (Directory.Exists(entry)) Copy(entry, Path.Combine(to, name));
            else File.Copy(entry, Path.Combine(to, name));
        }
    }

    private static string FindRoot()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "PollerKit.sln"))) return folder;
        }
        throw new DirectoryNotFoundException($"PollerKit.sln was expected in a folder above {AppContext.BaseDirectory}.");
    }
}
