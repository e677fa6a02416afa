namespace Poller.Packages.Tests;

/// <summary>A test that takes a minute. It runs if the environment variable POLLER_TESTS is "long", as in .ci/run.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LongFactAttribute : FactAttribute
{
    public LongFactAttribute(params string[] programs)
    {
        string[] missing = [.. programs.Where(static program => !IsInstalled(program))];
        if (Environment.GetEnvironmentVariable("POLLER_TESTS") != "long") Skip = "needs POLLER_TESTS=long";
        else if (missing.Length > 0) Skip = $"needs {string.Join(" and ", missing)}";
    }

    // "clang|gcc" is either.
    private static bool IsInstalled(string program) =>
        program.Split('|').Any(static name => Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator)
            .Any(folder => File.Exists(Path.Combine(folder, name))));
}
