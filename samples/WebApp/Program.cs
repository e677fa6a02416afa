using System.CommandLine;
using System.CommandLine.Parsing;
using WebApp;

Option<string> urls = new("--urls")
{
    Description = "Where to listen, with ; between several URLs. With port 0 the system chooses the port. An https URL has HTTP/2 too.",
    HelpName = "URLS",
};
Option<string> transport = new("--transport")
{
    Description = "What Kestrel listens with: PollerKit (the default), the sockets transport, or that with all its unsafe inline options.",
    HelpName = string.Join('|', AppOptions.Transports),
};
Option<string> backend = new("--backend")
{
    Description = "The poller's backend. auto (the default) chooses the best one that works on this machine.",
    HelpName = string.Join('|', AppOptions.Backends),
};
Argument<string[]> settings = new("settings")
{
    Description = "Settings of the app's configuration, such as Poller:Loops=2 or Poller:Dispatch=Inline.",
    HelpName = "KEY=VALUE",
    Arity = ArgumentArity.ZeroOrMore,
};

RootCommand root = new("An ASP.NET Core app on PollerKit. Its page draws the poller's loops while they run.")
{
    urls, transport, backend, settings,
};
root.Directives.Clear();
ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });

// The parser ignores [text] if no directive has that name.
string[] directives = [.. parsed.Tokens.Where(static token => token.Type == TokenType.Directive).Select(static token => token.Value)];
string[] given = parsed.GetValue(settings) ?? [];
string[] unrecognized = [.. directives, .. given.Where(static setting => setting.IndexOf('=', StringComparison.Ordinal) < 1)];
string[] errors = [.. parsed.Errors.Select(Describe), .. unrecognized.Select(Unrecognized)];
if (errors.Length > 0)
{
    Console.Error.WriteLine(errors[0]); // The others often follow from it.
    return 2;
}

// All is configuration. So each of them has a name there too: urls, transport and backend.
root.SetAction((result, _) => App.RunAsync(
[
    .. new[] { urls, transport, backend }
        .Where(option => result.GetValue(option) is not null)
        .Select(option => $"{option.Name[2..]}={result.GetValue(option)}"),
    .. result.GetValue(settings) ?? [],
]));
return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });

static string Describe(ParseError error)
{
    SymbolResult? result = error.SymbolResult;
    while (result is not (OptionResult or null)) result = result.Parent;
    if (result is not OptionResult { Option: { } option, Tokens: { } values }) return $"{error.Message} --help lists the options.";
    string text = string.Concat(values.Select(static value => $" \"{value.Value}\""));
    return $"{option.Name}{text}: one value, {option.HelpName}, was expected.";
}

static string Unrecognized(string argument) =>
    $"\"{argument}\": an option, or a setting such as Poller:Loops=2, was expected; --help lists the options.";
