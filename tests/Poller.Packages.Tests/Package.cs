using System.IO.Compression;
using System.Xml.Linq;

namespace Poller.Packages.Tests;

/// <summary>A package's file, .nupkg or .snupkg.</summary>
internal sealed class Package
{
    private readonly Dictionary<string, byte[]> _files = [];
    private readonly XElement _metadata;

    public Package(string file)
    {
        using ZipArchive archive = ZipFile.OpenRead(file);
        foreach (ZipArchiveEntry entry in archive.Entries)
        {
            if (IsOfFormat(entry.FullName)) continue;
            using Stream stream = entry.Open();
            using MemoryStream bytes = new();
            stream.CopyTo(bytes);
            _files.Add(entry.FullName, bytes.ToArray());
        }

        using MemoryStream nuspec = new(_files.Single(static file => file.Key.EndsWith(".nuspec", StringComparison.Ordinal)).Value);
        _metadata = XDocument.Load(nuspec).Root!.Elements().Single();
    }

    /// <summary>The names of its files in order, without those of the format.</summary>
    public IEnumerable<string> Files => _files.Keys.Order(StringComparer.Ordinal);

    public string Version => Text("version");

    /// <summary>What it depends on: names, each with the lowest version that will do.</summary>
    public IEnumerable<string> Dependencies =>
        Descendants("dependency").Select(static found => $"{(string?)found.Attribute("id")} {(string?)found.Attribute("version")}");

    public IEnumerable<string> FrameworkReferences =>
        Descendants("frameworkReference").Select(static reference => (string)reference.Attribute("name")!);

    public XElement Repository => Descendants("repository").Single();

    public string Text(string element) => Descendants(element).Single().Value;

    public byte[] Read(string file) => _files[file];

    public Stream Open(string file) => new MemoryStream(_files[file]);

    // What every package has.
    private static bool IsOfFormat(string file) =>
        file is "_rels/.rels" or "[Content_Types].xml" || file.EndsWith(".psmdcp", StringComparison.Ordinal);

    private IEnumerable<XElement> Descendants(string name) => _metadata.Descendants().Where(element => element.Name.LocalName == name);
}
