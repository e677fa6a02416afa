using System.CommandLine;
using System.CommandLine.Parsing;
using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Poller.DependencyInjection;
using Poller.Net;

namespace Cluster;

/// <summary>What the command line says.</summary>
internal static class CommandLine
{
    private const int Interrupted = 130; // As a shell says it of SIGINT.

    /// <summary>Runs what the arguments say. Returns the exit code; 2 if they are wrong.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        Option<string?> transport = new("--transport")
        {
            Description = "What carries the messages: PollerKit, or Orleans's own sockets.",
            HelpName = "poller|sockets",
            DefaultValueFactory = _ => "poller",
            CustomParser = OneOf("--transport", "poller", "sockets"),
        };
        Option<string> backend = new("--backend")
        {
            Description = "The poller's backend. auto chooses the best one that works on this machine.",
            HelpName = "auto|epoll|epoll-level|posix|kqueue",
            DefaultValueFactory = _ => NetpollFactory.Named("auto").Name,
            CustomParser = Backend,
            Recursive = true,
        };
        Option<string?> dispatch = new("--dispatch")
        {
            Description = "Where the poller runs what a connection was ready for: on its own thread, or on the thread pool.",
            HelpName = "adaptive|inline|threadpool",
            DefaultValueFactory = _ => "adaptive",
            CustomParser = OneOf("--dispatch", "adaptive", "inline", "threadpool"),
            Recursive = true,
        };
        Option<int> clients = new("--clients")
        {
            Description = "How many clients call, each one call after the other, 1 to 1024.",
            HelpName = "1..1024",
            DefaultValueFactory = _ => 64,
            CustomParser = Integer("--clients", 1, 1024),
            Recursive = true,
        };
        Option<int> seconds = new("--seconds")
        {
            Description = "How long each part takes, 1 to 3600.",
            HelpName = "1..3600",
            DefaultValueFactory = _ => 5,
            CustomParser = Integer("--seconds", 1, 3600),
            Recursive = true,
        };
        Option<int> rounds = new("--rounds")
        {
            Description = "How often each transport is measured, 1 to 1000.",
            HelpName = "1..1000",
            DefaultValueFactory = _ => 5,
            CustomParser = Integer("--rounds", 1, 1000),
        };
        Option<int> port = Port("--port");
        Option<int> gateway = Port("--gateway");
        Option<int> primary = Port("--primary");
        Option<string> ledgers = new("--ledgers") { Required = true };

        Command compare = new("compare", "Measures PollerKit beside Orleans's own sockets, in turn.") { rounds };
        Command silo = new("silo") { transport, port, gateway, primary, ledgers };
        silo.Hidden = true; // The driver starts it.
        RootCommand root = new(
            "Runs an Orleans cluster of three silos on loopback, kills one silo under load and adds another, and counts the calls.")
        {
            transport, backend, dispatch, clients, seconds, compare, silo,
        };
        root.Directives.Clear();
        root.SetAction((result, _) => UntilInterruptedAsync(stop =>
            Experiment.RunAsync(TransportOf(result), result.GetValue(clients), TimeSpan.FromSeconds(result.GetValue(seconds)), stop)));
        compare.SetAction((result, _) => UntilInterruptedAsync(stop => Comparison.RunAsync(
            PollerOf(result),
            result.GetValue(clients),
            TimeSpan.FromSeconds(result.GetValue(seconds)),
            result.GetValue(rounds),
            stop)));
        silo.SetAction((result, _) => Silo.RunAsync(
            TransportOf(result),
            new SiloSettings(result.GetValue(port), result.GetValue(ledgers)!),
            result.GetValue(gateway),
            result.GetValue(primary)));

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
            foreach (string error in errors) Console.Error.WriteLine($"{error} --help lists the options.");
            return 2;
        }
        return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });

        Transport TransportOf(ParseResult result) =>
            result.GetValue(transport) == "sockets" ? Transport.Sockets : PollerOf(result);

        Transport PollerOf(ParseResult result) =>
            new(result.GetValue(backend), Enum.Parse<NetpollDispatch>(result.GetValue(dispatch)!, ignoreCase: true));
    }

    // A signal cancels the run, which then ends its silos.
    private static async Task<int> UntilInterruptedAsync(Func<CancellationToken, Task<int>> run)
    {
        using CancellationTokenSource stop = new();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        try
        {
            return await run(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Console.Error.WriteLine("interrupted");
            return Interrupted;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or Win32Exception)
        {
            Console.Error.WriteLine(e.Message); // The system refused a folder, a file, a socket, a process or a line of output.
            return 1;
        }

        void OnSignal(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }

    private static Option<int> Port(string name) => new(name) { CustomParser = Integer(name, 1, ushort.MaxValue), Required = true };

    private static Func<ArgumentResult, string?> OneOf(string option, params string[] names) => result =>
    {
        string text = result.Tokens[0].Value;
        if (names.Contains(text)) return text;
        string expected = $"{string.Join(", ", names[..^1])} or {names[^1]}";
        result.AddError($"{option} \"{text}\": {expected} was expected.");
        return null;
    };

    private static string? Backend(ArgumentResult result)
    {
        try
        {
            return NetpollFactory.Named(result.Tokens[0].Value).Name;
        }
        catch (Exception e) when (e is ArgumentException or PlatformNotSupportedException)
        {
            string parameter = $" (Parameter '{(e as ArgumentException)?.ParamName}')";
            result.AddError($"--{e.Message.Replace(parameter, "", StringComparison.Ordinal)}");
            return null;
        }
    }

    private static Func<ArgumentResult, int> Integer(string option, int least, int most) => result =>
    {
        string text = result.Tokens[0].Value;
        bool parsed = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value);
        if (parsed && value >= least && value <= most) return value;
        result.AddError($"{option} \"{text}\": a whole number from {least} to {most} was expected.");
        return least;
    };
}
