using System.Globalization;
using System.Text.RegularExpressions;
using Markdig.Syntax;

namespace Poller.Docs.Tests;

/// <summary>How a program shows that it does what the docs say.</summary>
internal enum Proof
{
    /// <summary>It ends without an error and has printed a text, in which … stands for anything.</summary>
    Prints,

    /// <summary>It is a server, and sends back what it is sent on a port.</summary>
    Echoes,

    /// <summary>It is tests, and they pass.</summary>
    Tests,
}

/// <summary>A csharp block: one file of a program.</summary>
/// <param name="Document">Where it stands.</param>
/// <param name="Line">Its first line.</param>
/// <param name="Code">What stands in it.</param>
internal sealed record DocFile(string Document, int Line, string Code);

/// <summary>A program of the docs: the block that runs, and the blocks it is compiled with.</summary>
/// <param name="Main">The block that runs.</param>
/// <param name="Parts">The blocks that it is compiled with.</param>
/// <param name="Proof">How it shows that it is right.</param>
/// <param name="Expected">The text that it prints, or the port that it echoes on.</param>
/// <param name="Needs">The server that it needs, and that its environment names: <c>postgresql</c>, <c>redis</c>, or none.</param>
/// <param name="EchoPort">The port in its code where it needs an echo server, or the empty text.</param>
internal sealed partial record DocProgram(
    DocFile Main, IReadOnlyList<DocFile> Parts, Proof Proof, string Expected, string Needs, string EchoPort)
{
    // A comment above a block says what it is for: <!-- prints: TEXT -->, <!-- prints what follows --> (in the next text block),
    // <!-- echoes on PORT --> or <!-- passes as tests -->. Blocks of one document that are parts of one program say <!-- part of NAME -->,
    // and each that runs adds its proof after a semicolon. One that needs a server says <!-- needs postgresql; PROOF -->, or redis, or an
    // echo on PORT. A block without a comment is a program that prints nothing.
    [GeneratedRegex(
        @"^(?!$)(needs ((?<needs>postgresql|redis)|an echo on (?<echo>\d+));\s*(?!$))?(part of (?<part>\S+?)(;\s*|$))?" +
        @"(prints:\s*(?<text>.*)|(?<below>prints what follows)|echoes on (?<port>\d+)|(?<tests>passes as tests))?$",
        RegexOptions.Singleline)]
    private static partial Regex Grammar();

    /// <summary>Where it stands.</summary>
    public string Place => $"{Main.Document}:{Main.Line}";

    public IEnumerable<DocFile> Files => Parts.Prepend(Main);

    /// <summary>The program with another port in its main block; null, if <paramref name="port"/> is not there.</summary>
    public DocProgram? With(string port, int other)
    {
        string code = Main.Code.Replace(port, other.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        return code == Main.Code ? null : this with { Main = Main with { Code = code } };
    }

    /// <summary>The programs of a document; every csharp block is of one, or is a fault.</summary>
    public static List<DocProgram> Of(Document document, List<string> faults)
    {
        List<(DocFile File, string Part, Proof Proof, string Expected, string Needs, string EchoPort)> mains = [];
        List<(DocFile File, string Part)> parts = [];
        foreach (FencedCodeBlock block in document.Blocks)
        {
            string at = document.At(block);
            string language = block.Info ?? "";
            if (language is "c#" or "cs" or "C#" or "CSharp") faults.Add($"{at}: a block is fenced as {language}; csharp was expected.");
            if (language.Length == 0) faults.Add($"{at}: a block does not say its language; csharp, sh or text, say, was expected.");
            if (language != "csharp") continue;

            DocFile file = new(document.Name, block.Line + 2, block.Lines.ToString());
            string comment = Document.CommentAbove(block) ?? "prints:";
            Match match = Grammar().Match(comment);
            string part = match.Groups["part"].Value;
            string needs = match.Groups["needs"].Value;
            string echo = match.Groups["echo"].Value;
            if (!match.Success)
            {
                faults.Add($"{at}: \"{comment}\" stands above the block; what it prints, echoes on, passes as or is part of was expected.");
            }
            else if (match.Groups["port"] is { Success: true } port) mains.Add((file, part, Proof.Echoes, port.Value, needs, echo));
            else if (match.Groups["tests"].Success) mains.Add((file, part, Proof.Tests, "", needs, echo));
            else if (match.Groups["below"].Success)
            {
                FencedCodeBlock? below = document.Blocks.FirstOrDefault(other => other.Line > block.Line);
                if (below?.Info == "text") mains.Add((file, part, Proof.Prints, below.Lines.ToString(), needs, echo));
                else faults.Add($"{at}: a text block was expected below, with what this one prints.");
            }
            else if (match.Groups["text"] is { Success: true } text) mains.Add((file, part, Proof.Prints, text.Value.Trim(), needs, echo));
            else parts.Add((file, part));
        }
        foreach ((DocFile file, string part) in parts.Where(part => !mains.Exists(main => main.Part == part.Part)))
        {
            faults.Add($"{file.Document}:{file.Line}: the block is part of {part}, and no block runs that; one with a proof was expected.");
        }
        return [.. mains.Select(main => new DocProgram(main.File, PartsOf(main.Part), main.Proof, main.Expected, main.Needs, main.EchoPort))];

        List<DocFile> PartsOf(string name) => [.. parts.Where(part => part.Part == name).Select(static part => part.File)];
    }
}
