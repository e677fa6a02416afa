using System.Reflection;

namespace Poller.Packages.Tests;

/// <summary>The packages of the projects as they were built with this one.</summary>
public sealed class PackedBuild : IAsyncLifetime
{
    private static readonly string Configuration =
        typeof(PackedBuild).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;

    private readonly string _folder = Directory.CreateTempSubdirectory("poller-packages-").FullName;

    public Task InitializeAsync() =>
        Command.DotnetAsync(Repository.Root, "pack", "PollerKit.sln", "-c", Configuration, "--no-build", "-o", _folder);

    public Task DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return Task.CompletedTask;
    }

    /// <summary>The names of the packages' files, without their versions.</summary>
    internal IEnumerable<string> Files() => Directory.GetFiles(_folder).Select(NameOf);

    internal Package Open(string name, string extension = "nupkg") =>
        new(Directory.GetFiles(_folder).Single(file => NameOf(file) == $"{name}.{extension}"));

    // Poller.Net.0.1.0-dev.7.nupkg is Poller.Net.nupkg: a version begins with a number.
    private static string NameOf(string file)
    {
        string[] parts = Path.GetFileName(file).Split('.');
        return string.Join('.', parts.TakeWhile(static part => !char.IsAsciiDigit(part[0])).Append(parts[^1]));
    }
}
