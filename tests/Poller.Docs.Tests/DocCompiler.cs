using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;

namespace Poller.Docs.Tests;

/// <summary>Compiles programs of the docs as this repository's projects are: nullable, implicit usings, no warnings.</summary>
internal static class DocCompiler
{
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private static readonly CSharpParseOptions Language = new(LanguageVersion.Latest);

    // What this process runs with: the framework, the src projects and xunit.
    private static readonly MetadataReference[] References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Select(static file => MetadataReference.CreateFromFile(file)),
    ];

    /// <summary>Compiles to <paramref name="assembly"/>. Returns what is wrong with the files, by document and line.</summary>
    public static IReadOnlyList<string> Compile(IEnumerable<DocFile> files, OutputKind kind, string assembly)
    {
        CSharpCompilationOptions options = new(kind, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable);
        CSharpCompilation compilation = CSharpCompilation.Create(
            Path.GetFileNameWithoutExtension(assembly),
            files.Select(static file => Parse($"#line {file.Line} \"{file.Document}\"\n{file.Code}")).Prepend(Parse(ImplicitUsings)),
            References,
            options);
        EmitResult result = compilation.Emit(assembly);
        return [.. result.Diagnostics.Where(static found => found.Severity >= DiagnosticSeverity.Warning).Select(Describe)];

        static SyntaxTree Parse(string code) => CSharpSyntaxTree.ParseText(code, Language);
    }

    private static string Describe(Diagnostic found)
    {
        FileLinePositionSpan where = found.Location.GetMappedLineSpan();
        return $"{where.Path}:{where.StartLinePosition.Line + 1}: {found.Id}: {found.GetMessage(CultureInfo.InvariantCulture)}";
    }
}
