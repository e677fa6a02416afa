using Poller.Net;

namespace EchoServer;

/// <summary>A network's name and an address of it, as <see cref="NetStack.Listen"/> takes them.</summary>
internal sealed record ListenAddress(string Network, string Address)
{
    public override string ToString() => $"{Network}:{Address}";
}

/// <summary>What the command line says.</summary>
internal sealed record ServerOptions
{
    public required ListenAddress Listen { get; init; }
    public required NetpollDispatch Dispatch { get; init; }
    public required int Loops { get; init; }
    public required bool Blocking { get; init; }

    /// <summary>Null leaves it to the environment.</summary>
    public string? Backend { get; init; }

    public TimeSpan? IdleTimeout { get; init; }
    public TimeSpan? StatsEvery { get; init; }

    public static NetpollDispatch ParseDispatch(string name) => name switch
    {
        "adaptive" => NetpollDispatch.Adaptive,
        "inline" => NetpollDispatch.Inline,
        "threadpool" => NetpollDispatch.ThreadPool,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "adaptive, inline or threadpool was expected."),
    };
}
