using Poller.Net;

namespace EchoServer;

/// <summary>A network's name and an address, as <see cref="NetStack.Listen"/> takes them.</summary>
internal sealed record ListenAddress(string Network, string Address)
{
    public override string ToString() => $"{Network}:{Address}";
}

/// <summary>The options of the command line.</summary>
internal sealed record ServerOptions
{
    public required ListenAddress Listen { get; init; }
    public required NetpollDispatch Dispatch { get; init; }
    public required int Loops { get; init; }
    public required bool Blocking { get; init; }

    /// <summary>The backend's name; with null the environment decides.</summary>
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
