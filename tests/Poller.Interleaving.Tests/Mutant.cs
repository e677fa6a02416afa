using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.Loader;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;
using Poller.Net;

namespace Poller.Interleaving.Tests;

/// <summary>
/// A fault, whose name is its description. In one source file the only occurrence of <paramref name="Find"/> becomes
/// <paramref name="Replace"/>. The scenarios of <paramref name="CaughtBy"/> must find it.
/// </summary>
internal sealed record Mutation(string Name, string File, string Find, string Replace, params string[] CaughtBy)
{
    public string Apply(string text)
    {
        int at = text.IndexOf(Find, StringComparison.Ordinal);
        if (at < 0) throw Misfit("is not there any more; it has to follow the source");
        if (text.IndexOf(Find, at + 1, StringComparison.Ordinal) >= 0) throw Misfit("stands there more than once; one place was expected");
        return string.Concat(text.AsSpan(0, at), Replace, text.AsSpan(at + Find.Length));
    }

    private InvalidOperationException Misfit(string what) =>
        new($"mutation \"{Name}\" of {File}: its text {what}:{Environment.NewLine}{Find}");
}

/// <summary>
/// The mutated sources and the scenarios, compiled into an assembly of their own, which is unloaded when this is disposed. The scheduler
/// and the controlled operations are those of the test assembly.
/// </summary>
internal sealed class Mutant : IDisposable
{
    private sealed class Context() : AssemblyLoadContext("mutant", isCollectible: true)
    {
        protected override Assembly? Load(AssemblyName assemblyName) => assemblyName.Name == Self.GetName().Name ? Self : null;
    }

    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private static readonly Assembly Self = typeof(Run).Assembly;

    private static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.Latest);

    private static readonly CSharpCompilationOptions Options = new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary)
        .WithOptimizationLevel(OptimizationLevel.Release)
        .WithNullableContextOptions(NullableContextOptions.Enable);

    private static readonly ImmutableArray<MetadataReference> References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(static path => Path.GetFileName(path).StartsWith("System.", StringComparison.Ordinal))
            .Append(typeof(Abstractions.INetpoll).Assembly.Location)
            .Append(Self.Location)
            .Select(static path => MetadataReference.CreateFromFile(path)),
    ];

    private static readonly Dictionary<string, string> Sources = Self.GetManifestResourceNames()
        .Where(static name => name.EndsWith(".cs", StringComparison.Ordinal))
        .ToDictionary(static name => name, Read);

    private static readonly Dictionary<string, SyntaxTree> Trees =
        Sources.ToDictionary(static source => source.Key, static source => Parse(source.Value, source.Key));

    private static readonly CSharpCompilation Unmutated =
        CSharpCompilation.Create("Mutant", [.. Trees.Values, Parse(ImplicitUsings, "ImplicitUsings.cs")], References, Options);

    private readonly Context _context = new();

    /// <summary>Compiles the sources as they are, or with one mutation.</summary>
    public Mutant(Mutation? mutation = null)
    {
        CSharpCompilation compilation = Unmutated;
        if (mutation is not null)
        {
            compilation = Unmutated.ReplaceSyntaxTree(Trees[mutation.File], Parse(mutation.Apply(Sources[mutation.File]), mutation.File));
        }
        using MemoryStream stream = new();
        EmitResult result = compilation.Emit(stream);
        if (!result.Success)
        {
            IEnumerable<Diagnostic> errors = result.Diagnostics.Where(static diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);
            string list = string.Join(Environment.NewLine, errors);
            throw new InvalidOperationException($"mutation \"{mutation?.Name}\" does not compile:{Environment.NewLine}{list}");
        }
        stream.Position = 0;
        Type all = _context.LoadFromStream(stream).GetType(typeof(AllScenarios).FullName!, throwOnError: true)!;
        Scenarios = (IReadOnlyDictionary<string, Action<Run>>)all.GetProperty(nameof(AllScenarios.ByName))!.GetValue(null)!;
    }

    public IReadOnlyDictionary<string, Action<Run>> Scenarios { get; }

    public void Dispose() => _context.Unload();

    private static string Read(string name)
    {
        using StreamReader reader = new(Self.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }

    private static SyntaxTree Parse(string text, string path) => CSharpSyntaxTree.ParseText(text, ParseOptions, path);
}
