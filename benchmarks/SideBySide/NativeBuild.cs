namespace SideBySide;

/// <summary>Builds a peer that is not .NET, when the harness runs, into the harness's own output.</summary>
internal sealed record NativeBuild(string Compiler, string[] Arguments, string Folder, string Output, string Package)
{
    private static readonly string Sources = Path.Combine(AppContext.BaseDirectory, "peers");
    private static readonly string Outputs = Path.Combine(AppContext.BaseDirectory, "native");

    /// <summary>A header that it needs, and the package that brings it.</summary>
    public (string Name, string Package)? Header { get; init; }

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

    /// <summary>Null when it is built; otherwise what is missing, and how to get it.</summary>
    /// <exception cref="InvalidOperationException">All is there, and it does not build.</exception>
    public string? Run()
    {
        Directory.CreateDirectory(Outputs);
        if (Header is { } header)
        {
            (int ExitCode, string Output, string Error)? probe =
                Tool.Run(Compiler, ["-E", "-o", "/dev/null", "-"], input: $"#include <{header.Name}>\n");
            if (probe is not (0, _, _)) return Missing(probe is null ? $"{Package} {header.Package}" : header.Package);
        }
        (string, string)[] offline = [("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-buildvcs=false")];
        if (Tool.Run(Compiler, Arguments, Folder, "", offline) is not { } build) return Missing(Package);
        if (build.ExitCode == 0) return null;
        string command = $"{Compiler} {string.Join(' ', Arguments)}";
        throw new InvalidOperationException($"{command}: exit code {build.ExitCode}, 0 was expected.\n{build.Error}");
    }

    private static string Missing(string package) => $"not installed: apt-get install {package}";
}
