using System.CommandLine;
using System.CommandLine.Parsing;
using Watch.Sources;

namespace Watch;

/// <summary>What the command line says.</summary>
internal static class CommandLine
{
    private const string ListOfSources = " Sources were expected; --help lists them.";

    /// <summary>Watches what the arguments name. Returns the exit code; 2 if they are wrong.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        Argument<string[]> sources = new("sources")
        {
            Description = $"What to watch: {SourceKinds.Help}.",
            HelpName = "SOURCE",
            Arity = ArgumentArity.OneOrMore,
        };
        sources.Validators.Add(static result =>
        {
            // The parser takes an option that it does not know for one more source.
            foreach (Token token in result.Tokens)
            {
                if (token.Value.StartsWith('-')) result.AddError($"Unrecognized option '{token.Value}'.");
            }
        });
        Option<string> backend = new("--backend")
        {
            Description = "The poller's backend. auto chooses the best one that works on this machine.",
            HelpName = "auto|epoll|epoll-level|posix|kqueue",
            DefaultValueFactory = _ => "auto",
        };

        RootCommand root = new("Watches descriptors of many kinds on one loop, and prints a line for each event, until Ctrl+C.")
        {
            sources, backend,
        };
        root.Directives.Clear();
        ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });

        // The parser ignores [text] if no directive has that name.
        string[] errors =
        [
            .. parsed.Tokens.Where(static token => token.Type == TokenType.Directive)
                .Select(static token => $"Unrecognized '{token.Value}'."),
            .. parsed.Errors.Select(static error => error.Message),
        ];
        if (errors.Length > 0)
        {
            foreach (string error in errors) Console.Error.WriteLine(error + ListOfSources);
            return 2;
        }
        root.SetAction((result, _) => Watcher.RunAsync(result.GetValue(backend)!, result.GetValue(sources)!));
        return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
    }
}
