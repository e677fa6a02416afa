namespace SideBySide;

/// <summary>Builds a peer's native program into the harness's own output, when the harness runs.</summary>
internal sealed record NativeBuild(string Compiler, string[] Arguments, string Folder, string Output, string Package)
{
    private static readonly string Sources = Path.Combine(AppContext.BaseDirectory, "peers");
    private static readonly string Outputs = Path.Combine(AppContext.BaseDirectory, "native");

    /// <summary>A header that it needs, and the package that contains it.</summary>
    public (string Name, string Package)? Header { get; init; }

    /// <summary>Its sources, if the build takes long: it is not built again while its output is newer.</summary>
    public string[] Inputs { get; init; } = [];

    public static NativeBuild C(string source, string header, string package, params string[] libraries)
    {
        string output = Path.Combine(Outputs, source);
        string[] arguments = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", output, source + ".c", .. libraries];
        return new("gcc", arguments, Path.Combine(Sources, "c"), output, "gcc") { Header = (header, package) };
    }

    public static NativeBuild Go()
    {
        string output = Path.Combine(Outputs, "go");
        return new("go", ["build", "-o", output, "."], Path.Combine(Sources, "go"), output, "golang-go");
    }

    /// <summary>
    /// A .NET peer that is compiled ahead of time. Its project references the library projects, so it is built in the repository, but
    /// leaves no files there.
    /// </summary>
    public static NativeBuild Aot(string folder, string assembly)
    {
        string source = Path.Combine(Repository.Folder ?? "", "benchmarks", "SideBySide", "peers", folder);
        string output = Path.Combine(Outputs, "aot", assembly);
        string[] arguments =
        [
            "publish", "-c", "Release", "--disable-build-servers", "--artifacts-path", Path.Combine(Outputs, "aot-build"),
            "-o", Path.Combine(Outputs, "aot"), "-p:PublishAot=true", "-p:CppCompilerAndLinker=gcc",
        ];
        return new(Tool.DotNet, arguments, source, output, "dotnet-sdk-10.0")
        {
            Header = ("zlib.h", "zlib1g-dev"),
            Inputs = Directory.GetFiles(AppContext.BaseDirectory, "Poller*.dll"), // The same code, as the harness's build made it.
        };
    }

    /// <summary>Returns null if it is built; otherwise what is missing, and how to get it.</summary>
    /// <exception cref="InvalidOperationException">Nothing is missing, but it does not build.</exception>
    public string? Run()
    {
        if (!Directory.Exists(Folder)) return $"not built: there is no folder {Path.GetFileName(Folder)} of sources";
        if (IsCurrent()) return null;
        Directory.CreateDirectory(Outputs);
        if (Header is { } header)
        {
            (int ExitCode, string Output, string Error)? probe =
                Tool.Run("gcc", ["-E", "-o", "/dev/null", "-"], input: $"#include <{header.Name}>\n");
            if (probe is not (0, _, _)) return Missing(probe is null ? $"gcc {header.Package}" : header.Package);
        }
        (string, string)[] offline = [("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-buildvcs=false")];
        if (Tool.Run(Compiler, Arguments, Folder, "", offline) is not { } build) return Missing(Package);
        if (build.ExitCode != 0)
        {
            string program = Path.GetFileName(Output);
            throw new InvalidOperationException(
                $"{Compiler}, for {program}: exit code {build.ExitCode}, 0 was expected.\n{build.Output}{build.Error}");
        }
        File.SetLastWriteTimeUtc(Output, DateTime.UtcNow); // Publishing does not change the time of an unchanged output.
        return null;
    }

    private bool IsCurrent() => Inputs.Length > 0 && File.Exists(Output)
        && Inputs.All(input => File.GetLastWriteTimeUtc(input) <= File.GetLastWriteTimeUtc(Output));

    private static string Missing(string package) => $"not installed: apt-get install {package}";
}
