using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;
using Poller.Posix;

namespace Poller.Torture;

/// <summary>What the command line says.</summary>
internal sealed record TortureOptions
{
    public required int Seed { get; init; }
    public required TimeSpan Duration { get; init; }
    public required string Backend { get; init; }
    public required NetpollDispatch Dispatch { get; init; }

    /// <summary>The backends, and what makes their pollers.</summary>
    public static IReadOnlyDictionary<string, INetpollFactory> Backends { get; } = new Dictionary<string, INetpollFactory>
    {
        ["epoll"] = new EpollNetpollFactory(),
        ["epoll-level"] = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level }),
        ["posix"] = new PosixNetpollFactory(),
        ["kqueue"] = new EmulatedKqueueFactory(),
    };

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"--seed {Seed} --duration {Duration.TotalSeconds}s --backend {Backend} --dispatch {Dispatch.ToString().ToLowerInvariant()}");
}

internal static class Program
{
    /// <summary>Returns 0 if all went well, 1 if something was lost, leaked or stuck, 2 for a command line that says nothing.</summary>
    public static async Task<int> Main(string[] arguments)
    {
        Option<int> seed = new("--seed")
        {
            Description = "The seed of the plan: who does what, how much and when. The scheduling is the machine's.",
            DefaultValueFactory = static _ => Random.Shared.Next(),
        };
        Option<TimeSpan> duration = new("--duration")
        {
            Description = "How long new work begins. What has begun then ends.",
            HelpName = "SECONDSs|MINUTESm",
            DefaultValueFactory = static _ => TimeSpan.FromSeconds(30),
            CustomParser = ParseDuration,
        };
        Option<string> backend = new("--backend")
        {
            Description = "The backend; kqueue is the emulated one.",
            DefaultValueFactory = static _ => "epoll",
        };
        backend.AcceptOnlyFromAmong([.. TortureOptions.Backends.Keys]);
        Option<NetpollDispatch> dispatch = new("--dispatch")
        {
            Description = "Where handlers run. With inline dispatch none blocks in place.",
            DefaultValueFactory = static _ => NetpollDispatch.Adaptive,
        };
        RootCommand root = new("Tortures a poller, and checks each byte and each descriptor.") { seed, duration, backend, dispatch };
        ParseResult parsed = root.Parse(arguments);
        root.SetAction((result, _) => Torture.RunAsync(new TortureOptions
        {
            Seed = result.GetValue(seed),
            Duration = result.GetValue(duration),
            Backend = result.GetValue(backend)!,
            Dispatch = result.GetValue(dispatch),
        }));
        int code = await parsed.InvokeAsync();
        return parsed.Errors.Count > 0 ? 2 : code;
    }

    private static TimeSpan ParseDuration(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        double unit = text.EndsWith('s') ? 1 : text.EndsWith('m') ? 60 : 0;
        NumberStyles style = NumberStyles.AllowDecimalPoint;
        bool parsed = double.TryParse(text.AsSpan(0, Math.Max(0, text.Length - 1)), style, CultureInfo.InvariantCulture, out double value);
        if (parsed && unit > 0 && value is > 0 and <= 86_400) return TimeSpan.FromSeconds(value * unit);
        result.AddError($"--duration \"{text}\": seconds or minutes were expected, such as 30s or 10m.");
        return default;
    }
}
