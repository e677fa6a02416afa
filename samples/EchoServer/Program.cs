using System.CommandLine;
using System.CommandLine.Parsing;
using EchoServer;

Option<ListenAddress> listen = new("--listen")
{
    Description = "Where to listen: tcp, tcp4 or tcp6, a colon, and host:port. With port 0 the system chooses the port.",
    HelpName = "network:host:port",
    DefaultValueFactory = _ => new ListenAddress("tcp", "127.0.0.1:8888"),
    CustomParser = Parsers.Listen,
};
Option<string?> backend = new("--backend")
{
    Description = "The poller's backend. auto chooses the best one that works on this machine. The default is POLLER_BACKEND, or auto.",
    HelpName = "auto|epoll|epoll-level|posix|kqueue",
    CustomParser = Parsers.Backend,
};
Option<string> dispatch = new("--dispatch")
{
    Description = "Where handlers run when their connection is ready.",
    HelpName = "adaptive|inline|threadpool",
    DefaultValueFactory = _ => "adaptive",
    CustomParser = Parsers.OneOf("--dispatch", "adaptive", "inline", "threadpool"),
};
Option<int> loops = new("--loops")
{
    Description = "The number of loops that poll, 1 to 1024.",
    HelpName = "1..1024",
    DefaultValueFactory = _ => 1,
    CustomParser = Parsers.Integer("--loops", 1, 1024),
};
Option<string> style = new("--style")
{
    Description = "How the handlers are written: async, or blocking with a thread for each connection.",
    HelpName = "async|blocking",
    DefaultValueFactory = _ => "async",
    CustomParser = Parsers.OneOf("--style", "async", "blocking"),
};
Option<double> idle = new("--idle-timeout")
{
    Description = "Closes a connection that sends nothing for this many seconds. Off by default.",
    HelpName = "SECONDS",
    CustomParser = Parsers.Seconds("--idle-timeout"),
};
Option<double> stats = new("--stats")
{
    Description = "Prints the counters each time this many seconds have passed, and at the end. Off by default.",
    HelpName = "SECONDS",
    CustomParser = Parsers.Seconds("--stats"),
};

RootCommand root = new("A TCP echo server on PollerKit: it sends back what it receives.")
{
    listen, backend, dispatch, loops, style, idle, stats,
};
root.Directives.Clear();
ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });

// The parser ignores [text] if no directive has that name.
string[] directives = [.. parsed.Tokens.Where(static token => token.Type == TokenType.Directive).Select(static token => token.Value)];
string[] errors = [.. directives.Select(Parsers.Unrecognized), .. parsed.Errors.Select(Parsers.Describe)];
if (errors.Length > 0)
{
    foreach (string error in errors) Terminal.Complain(error);
    return 2;
}
root.SetAction((result, _) => Server.RunAsync(new ServerOptions
{
    Listen = result.GetValue(listen)!,
    Backend = result.GetValue(backend),
    Dispatch = ServerOptions.ParseDispatch(result.GetValue(dispatch)!),
    Loops = result.GetValue(loops),
    Blocking = result.GetValue(style) == "blocking",
    IdleTimeout = result.GetValue(idle) is var seconds and > 0 ? TimeSpan.FromSeconds(seconds) : null,
    StatsEvery = result.GetValue(stats) is var every and > 0 ? TimeSpan.FromSeconds(every) : null,
}));

// The output of --help and --version.
using StringWriter output = new();
int code = await parsed.InvokeAsync(new InvocationConfiguration { Output = output, ProcessTerminationTimeout = null });
string text = output.ToString().TrimEnd();
return text.Length == 0 || Terminal.Say(text) ? code : 1;
