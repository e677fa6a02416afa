using System.Xml.Linq;

namespace Poller.Packages.Tests;

/// <summary>
/// A release, rehearsed: the sources in a repository of their own with a tag and a remote, and packed as the release workflow packs them.
/// It is made when it is first asked for, because in the fast run nobody asks.
/// </summary>
public sealed class Release : IDisposable
{
    public const string Version = "9.8.7";
    public const string Remote = "https://github.com/example/PollerKit";

    private static readonly string[] WithoutAnalyzers = ["-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false"];

    private readonly string _folder = Directory.CreateTempSubdirectory("poller-release-").FullName;
    private readonly Lazy<Task> _packed;

    public Release() => _packed = new(PackAsync);

    /// <summary>Where the sources are.</summary>
    internal string Sources => Path.Combine(_folder, "sources");

    private string Packages => Path.Combine(_folder, "packages");

    /// <summary>Runs git in the release's repository.</summary>
    internal async Task<string> GitAsync(params string[] arguments)
    {
        await _packed.Value;
        return await Command.RunAsync(Sources, "git", arguments);
    }

    internal async Task<Package> OpenAsync(string name, string extension = "nupkg")
    {
        await _packed.Value;
        return new Package(Path.Combine(Packages, $"{name}.{Version}.{extension}"));
    }

    /// <summary>Copies a program of the folder Apps to where it finds the packages and nothing else of the repository.</summary>
    /// <returns>Its folder, and the options with which it is built.</returns>
    internal async Task<(string Folder, string[] Options)> CopyAppAsync(string name)
    {
        await _packed.Value;
        string folder = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        foreach (string file in Directory.GetFiles(Path.Combine(Repository.Root, "tests/Poller.Packages.Tests/Apps", name)))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        // The packages are a source beside the machine's own. They are unpacked here, so no other build's are used or replaced. Packages of
        // others come from the machine's folder if it has them.
        new XElement(
            "configuration",
            new XElement("packageSources", Add("packed", Packages)),
            new XElement("fallbackPackageFolders", Add("machine", await GlobalPackagesAsync())))
            .Save(Path.Combine(folder, "nuget.config"));
        return (folder, ["-c", "Release", $"-p:PollerKitVersion={Version}", $"-p:RestorePackagesPath={Path.Combine(_folder, "unpacked")}"]);

        static XElement Add(string key, string value) => new("add", new XAttribute("key", key), new XAttribute("value", value));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task PackAsync()
    {
        Repository.CopyTo(Sources);
        await Git("init", "--quiet", "--initial-branch", "main");
        await Git("add", "--all");
        await Git("config", "user.name", "Nobody");
        await Git("config", "user.email", "nobody@example.org");
        await Git("config", "commit.gpgsign", "false");
        await Git("commit", "--quiet", "--message", "All");
        await Git("tag", "v" + Version);
        await Git("remote", "add", "origin", Remote);
        await Command.DotnetAsync(
            Sources, ["pack", "-c", "Release", "-p:ContinuousIntegrationBuild=true", .. WithoutAnalyzers, "-o", Packages]);

        Task<string> Git(params string[] arguments) => Command.RunAsync(Sources, "git", arguments);
    }

    private async Task<string> GlobalPackagesAsync()
    {
        const string Name = "global-packages: ";
        string list = await Command.DotnetAsync(Sources, "nuget", "locals", "global-packages", "--list");
        return list[(list.IndexOf(Name, StringComparison.Ordinal) + Name.Length)..].Trim();
    }
}
