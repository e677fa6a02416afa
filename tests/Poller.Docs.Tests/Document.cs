using Markdig;
using Markdig.Extensions.AutoIdentifiers;
using Markdig.Extensions.Tables;
using Markdig.Renderers.Html;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace Poller.Docs.Tests;

/// <summary>A Markdown file, taken apart. Lines count from 1.</summary>
internal sealed class Document
{
    private static readonly MarkdownPipeline Pipeline =
        new MarkdownPipelineBuilder().UsePipeTables().UseAutoIdentifiers(AutoIdentifierOptions.GitHub).UsePreciseSourceLocation().Build();

    private readonly MarkdownDocument _tree;

    /// <param name="name">Its path, from the folder that the docs speak of.</param>
    /// <param name="text">What stands in it.</param>
    public Document(string name, string text)
    {
        Name = name;
        _tree = Markdown.Parse(text, Pipeline);
    }

    public string Name { get; }

    public IEnumerable<FencedCodeBlock> Blocks => _tree.Descendants<FencedCodeBlock>();

    public IEnumerable<LinkInline> Links => _tree.Descendants<LinkInline>();

    public IEnumerable<CodeInline> CodeSpans => _tree.Descendants<CodeInline>();

    public IEnumerable<Table> Tables => _tree.Descendants<Table>();

    /// <summary>What a link can lead to in it.</summary>
    public IEnumerable<string?> Anchors => _tree.Descendants<HeadingBlock>().Select(static heading => heading.GetAttributes().Id);

    /// <summary>How a fault at <paramref name="node"/> begins.</summary>
    public string At(MarkdownObject node) => $"{Name}:{node.Line + 1}";

    /// <summary>What stands in the comment right above a block, or null.</summary>
    public static string? CommentAbove(FencedCodeBlock block)
    {
        ContainerBlock siblings = block.Parent!;
        int index = siblings.IndexOf(block);
        return index > 0 && siblings[index - 1] is HtmlBlock { Type: HtmlBlockType.Comment } comment
            ? comment.Lines.ToString().Trim()["<!--".Length..^"-->".Length].Trim()
            : null;
    }
}
