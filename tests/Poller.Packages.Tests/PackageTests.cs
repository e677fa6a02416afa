using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;
using System.Xml.Linq;

namespace Poller.Packages.Tests;

/// <summary>What the packages hold and depend on.</summary>
public sealed class PackageTests(PackedBuild build) : IClassFixture<PackedBuild>
{
    // The package of dependencies alone.
    private const string Metapackage = "PollerKit";

    public static TheoryData<string> Packages => [.. Repository.Projects];

    public static TheoryData<string> Libraries => [.. Repository.Projects.Where(static name => name != Metapackage)];

    [Fact]
    public void Each_published_project_is_a_package_with_symbols_and_nothing_else_is()
    {
        IEnumerable<string> packages = Repository.Projects.Select(static name => $"{name}.nupkg");
        IEnumerable<string> symbols = Repository.Projects.Where(static name => name != Metapackage).Select(static name => $"{name}.snupkg");
        Assert.Equal(packages.Concat(symbols).Order(StringComparer.Ordinal), build.Files().Order(StringComparer.Ordinal));
    }

    [Theory, MemberData(nameof(Libraries))]
    public void A_package_has_its_assembly_documentation_icon_and_readme_and_no_other_file(string name) =>
        Assert.Equal(
            [$"{name}.nuspec", "README.md", "icon.png", $"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml"], build.Open(name).Files);

    [Fact]
    public void The_metapackage_has_no_assembly() =>
        Assert.Equal(["PollerKit.nuspec", "README.md", "icon.png"], build.Open(Metapackage).Files);

    [Theory, MemberData(nameof(Libraries))]
    public void A_symbol_package_has_the_symbols_and_no_other_file(string name) =>
        Assert.Equal([$"{name}.nuspec", $"lib/net10.0/{name}.pdb"], build.Open(name, "snupkg").Files);

    [Theory, MemberData(nameof(Packages))]
    public void A_package_says_what_it_is(string name)
    {
        Package package = build.Open(name);
        Assert.Equal(name, package.Text("id"));
        Assert.Matches(@"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$", package.Version);
        Assert.Equal("MIT", package.Text("license"));
        Assert.Equal("README.md", package.Text("readme"));
        Assert.Equal("icon.png", package.Text("icon"));
        Assert.Equal((string)Repository.Project(name).Descendants("Description").Single(), package.Text("description"));
        Assert.Contains("poller", package.Text("tags").Split(' '));
        Assert.Equal("git", (string?)package.Repository.Attribute("type"));
    }

    [Theory, MemberData(nameof(Packages))]
    public void A_readme_names_its_package_and_has_no_link_into_the_repository(string name)
    {
        string readme = Encoding.UTF8.GetString(build.Open(name).Read("README.md"));
        Assert.StartsWith($"# {name}\n", readme, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"\]\((?!https://)", readme);
    }

    [Theory, MemberData(nameof(Packages))]
    public void A_package_depends_on_what_its_project_refers_to(string name)
    {
        Package package = build.Open(name);
        XDocument project = Repository.Project(name);
        IEnumerable<string> ours = References(project, "ProjectReference")
            .Select(static path => Path.GetFileNameWithoutExtension(path)).Select(reference => $"{reference} {package.Version}");
        IEnumerable<string> others = References(project, "PackageReference")
            .Select(static reference => $"{reference} {Repository.VersionOf(reference)}");
        Assert.Equal(ours.Concat(others).Order(StringComparer.Ordinal), package.Dependencies.Order(StringComparer.Ordinal));
        Assert.Equal(References(project, "FrameworkReference"), package.FrameworkReferences);
    }

    [Fact]
    public void The_contract_depends_on_nothing() => Assert.Empty(build.Open("Poller.Abstractions").Dependencies);

    [Fact]
    public void The_kit_depends_on_xunit_without_its_runner() =>
        Assert.Equal(
            ["xunit.assert", "xunit.extensibility.core"],
            build.Open("Poller.Conformance").Dependencies.Select(NameOf)
                .Where(static name => name.StartsWith("xunit", StringComparison.Ordinal)));

    [Fact]
    public void The_metapackage_brings_the_net_layer_the_backends_and_the_services_and_no_framework()
    {
        HashSet<string> brought = [Metapackage];
        Queue<string> rest = new(brought);
        while (rest.TryDequeue(out string? name))
        {
            Package package = build.Open(name);
            Assert.Empty(package.FrameworkReferences);
            foreach (string dependency in package.Dependencies.Select(NameOf).Intersect(Repository.Projects))
            {
                if (brought.Add(dependency)) rest.Enqueue(dependency);
            }
        }
        Assert.Equal(
            ["Poller.Abstractions", "Poller.DependencyInjection", "Poller.Epoll", "Poller.Kqueue", "Poller.Net", "Poller.Posix"],
            brought.Except([Metapackage]).Order(StringComparer.Ordinal));
    }

    [Theory, MemberData(nameof(Libraries))]
    public void Each_public_type_has_documentation_in_the_package(string name)
    {
        Package package = build.Open(name);
        XDocument documentation = XDocument.Load(package.Open($"lib/net10.0/{name}.xml"));
        IEnumerable<string> documented = documentation.Descendants("member").Select(static member => (string)member.Attribute("name")!);

        using PEReader assembly = new(package.Open($"lib/net10.0/{name}.dll"));
        MetadataReader metadata = assembly.GetMetadataReader();
        string[] types =
        [
            .. from handle in metadata.TypeDefinitions
               let type = metadata.GetTypeDefinition(handle)
               where (type.Attributes & TypeAttributes.VisibilityMask) == TypeAttributes.Public
               select $"T:{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}",
        ];
        Assert.NotEmpty(types);
        Assert.Empty(types.Except(documented));
    }

    private static IEnumerable<string> References(XDocument project, string kind) =>
        project.Descendants(kind).Where(static reference => (string?)reference.Attribute("PrivateAssets") != "all")
            .Select(static reference => (string?)reference.Attribute("Include")).OfType<string>();

    private static string NameOf(string dependency) => dependency[..dependency.IndexOf(' ', StringComparison.Ordinal)];
}
