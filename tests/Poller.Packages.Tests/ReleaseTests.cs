using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;

namespace Poller.Packages.Tests;

/// <summary>What only a release shows: its version, where its sources are, and that other programs can use its packages.</summary>
[Trait("Tests", "long")]
public sealed class ReleaseTests(Release release) : IClassFixture<Release>
{
    // Kinds of custom debug information, in the specification of portable PDBs.
    private static readonly Guid SourceLink = new("CC110556-A091-4D38-9FEC-25AB9A351A6A");
    private static readonly Guid EmbeddedSource = new("0E8A571B-6926-466E-B4AD-8AB04611F5FE");

    [LongFact("git")]
    public async Task The_tag_is_the_version_and_the_remote_is_the_repository()
    {
        foreach (string name in Repository.Projects)
        {
            Package package = await release.OpenAsync(name);
            Assert.Equal(Release.Version, package.Version);
            Assert.Equal(Release.Remote, (string?)package.Repository.Attribute("url"));
            Assert.Equal((await release.GitAsync("rev-parse", "HEAD")).Trim(), (string?)package.Repository.Attribute("commit"));
        }
    }

    [LongFact("git")]
    public async Task Symbols_belong_to_their_assembly_and_find_each_source()
    {
        HashSet<string> tracked = [.. (await release.GitAsync("ls-files")).Split('\n')];
        string address = $"https://raw.githubusercontent.com/example/PollerKit/{(await release.GitAsync("rev-parse", "HEAD")).Trim()}/*";
        foreach (string name in Repository.Projects.Where(static name => name != "PollerKit"))
        {
            Stream assembly = (await release.OpenAsync(name)).Open($"lib/net10.0/{name}.dll");
            Stream symbols = (await release.OpenAsync(name, "snupkg")).Open($"lib/net10.0/{name}.pdb");
            using PEReader reader = new(assembly);
            using MetadataReaderProvider provider = MetadataReaderProvider.FromPortablePdbStream(symbols);
            MetadataReader pdb = provider.GetMetadataReader();

            DebugDirectoryEntry link = reader.ReadDebugDirectory().Single(static entry => entry.Type == DebugDirectoryEntryType.CodeView);
            Assert.Equal(reader.ReadCodeViewDebugDirectoryData(link).Guid, new BlobContentId(pdb.DebugMetadataHeader!.Id).Guid);

            string map = Encoding.UTF8.GetString(Information(pdb, EntityHandle.ModuleDefinition, SourceLink).Single());
            Assert.Equal($$$"""{"documents":{"/_/*":"{{{address}}}"}}""", map);
            foreach (DocumentHandle handle in pdb.Documents)
            {
                string document = pdb.GetString(pdb.GetDocument(handle).Name);
                Assert.StartsWith("/_/", document, StringComparison.Ordinal);
                bool canBeFound = tracked.Contains(document["/_/".Length..]) || Information(pdb, handle, EmbeddedSource).Any();
                Assert.True(canBeFound, $"{document} is neither committed nor embedded.");
            }
        }
    }

    [LongFact("git")]
    public async Task No_file_of_a_package_names_the_folder_that_it_was_built_in()
    {
        byte[][] names = [Encoding.UTF8.GetBytes(release.Sources), Encoding.Unicode.GetBytes(release.Sources)];
        foreach (string name in Repository.Projects)
        {
            List<Package> packages = [await release.OpenAsync(name)];
            if (name != "PollerKit") packages.Add(await release.OpenAsync(name, "snupkg"));
            foreach (Package package in packages)
            {
                foreach (string file in package.Files)
                {
                    byte[] content = package.Read(file);
                    Assert.DoesNotContain(names, folder => content.AsSpan().IndexOf(folder) >= 0);
                }
            }
        }
    }

    [LongFact("git", "clang|gcc")]
    public async Task A_program_compiled_ahead_of_time_from_the_packages_echoes()
    {
        (string folder, string[] options) = await release.CopyAppAsync("Echo");
        string services = $"-p:ServicesVersion={Repository.VersionOf("Microsoft.Extensions.DependencyInjection")}";
        await Command.DotnetAsync(folder, ["publish", .. options, services, "-o", "out"]);
        Assert.Equal(["Echo", "Echo.dbg"], Directory.GetFiles(Path.Combine(folder, "out")).Select(Path.GetFileName).Order());

        using Process process = Process.Start(new ProcessStartInfo(Path.Combine(folder, "out", "Echo")) { RedirectStandardOutput = true })!;
        try
        {
            using CancellationTokenSource end = new(TimeSpan.FromMinutes(1));
            string? address = await process.StandardOutput.ReadLineAsync(end.Token);
            Assert.NotNull(address);
            using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPEndPoint.Parse(address), end.Token);
            await using NetworkStream stream = new(socket);
            byte[] sent = [.. Enumerable.Range(0, 100_000).Select(static i => (byte)(i * 31))];
            byte[] received = new byte[sent.Length];
            Task write = stream.WriteAsync(sent, end.Token).AsTask();
            await stream.ReadExactlyAsync(received, end.Token);
            await write;
            Assert.Equal(sent, received);
            socket.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, await stream.ReadAsync(received, end.Token));
            await process.WaitForExitAsync(end.Token);
            Assert.Equal(0, process.ExitCode);
        }
        finally
        {
            process.Kill();
        }
    }

    [LongFact("git")]
    public async Task A_test_project_that_inherits_the_kit_of_the_package_tests_a_backend()
    {
        (string folder, string[] options) = await release.CopyAppAsync("Kit");
        string printed = await Command.DotnetAsync(
            folder,
            [
                "test", .. options, "--filter", "FullyQualifiedName~Break",
                $"-p:TestSdkVersion={Repository.VersionOf("Microsoft.NET.Test.Sdk")}",
                $"-p:XunitVersion={Repository.VersionOf("xunit")}",
                $"-p:RunnerVersion={Repository.VersionOf("xunit.runner.visualstudio")}",
            ]);
        Assert.Matches(@"Failed: +0, Passed: +[1-9]", printed);
    }

    private static IEnumerable<byte[]> Information(MetadataReader pdb, EntityHandle parent, Guid kind) =>
        pdb.GetCustomDebugInformation(parent).Select(pdb.GetCustomDebugInformation)
            .Where(information => pdb.GetGuid(information.Kind) == kind).Select(information => pdb.GetBlobBytes(information.Value));
}
