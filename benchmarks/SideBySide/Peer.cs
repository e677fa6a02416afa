namespace SideBySide;

/// <summary>
/// A server to measure: a program from the folder <c>peers</c>. README.md says what it must print and answer.
/// </summary>
internal sealed record Peer(string Name, string Title, string Program, string[] Arguments, bool Main = true)
{
    public const string BaselineName = "baseline";

    /// <summary>Its environment variables.</summary>
    public (string Name, string Value)[] Environment { get; init; } = [];

    /// <summary>Whether it is a web server, and not an echo server.</summary>
    public bool Http { get; init; }

    /// <summary>How to build it first; null for one that the JIT compiles, which is in the harness's output.</summary>
    public NativeBuild? Build { get; init; }

    /// <summary>Whether its code gets faster while it runs, so that it needs a longer warm-up.</summary>
    public bool HasJit => Build is null;

    /// <summary>
    /// All peers. A peer that is not <see cref="Main"/> is measured by a full run under the loads with <see cref="Load.Variants"/>, and
    /// when the user names it or passes <c>--peers all</c>.
    /// </summary>
    public static IReadOnlyList<Peer> All { get; } =
    [
        PollerKit("adaptive", "epoll"),
        PollerKit("inline", "epoll"),
        PollerKit("threadpool", "epoll"),
        PollerKit("adaptive", "epoll-level", main: false),
        PollerKit("inline", "epoll-level", main: false),
        PollerKit("threadpool", "epoll-level", main: false),
        PollerKit("adaptive", "posix", main: false),
        PollerKit("inline", "posix", main: false),
        PollerKit("threadpool", "posix", main: false),
        PollerKit("adaptive", "epoll", main: false) with
        {
            Name = "pollerkit-adaptive-epoll-nopgo",
            Title = "PollerKit, adaptive, epoll, no PGO",
            Environment = [("DOTNET_TieredPGO", "0")],
        },
        Native("pollerkit-adaptive-epoll-aot", "PollerKit, adaptive, epoll, AOT", NativeBuild.Aot("pollerkit", "PollerKitPeer")) with
        {
            Arguments = ["adaptive", "epoll"],
            Main = false,
        },
        DotNet("sockets", "System.Net.Sockets", "SocketsPeer"),
        DotNet("sockets-inline", "System.Net.Sockets, inline completions", "SocketsPeer") with
        {
            Environment = [("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1")],
        },
        Kestrel("pollerkit", "Kestrel, PollerKit"),
        Kestrel("sockets", "Kestrel, its sockets transport"),
        Kestrel("sockets-inline", "Kestrel, its sockets transport, unsafe inline options") with
        {
            Environment = [("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1")],
        },
        Native("go", "Go's net", NativeBuild.Go()),
        Native("libuv", "libuv (C)", NativeBuild.C("libuv", "uv.h", "libuv1-dev", "-luv")),
        Native("c-uring", "io_uring (C)", NativeBuild.C("uring", "liburing.h", "liburing-dev", "-luring")),
        Native("c-epoll", "epoll (C)", NativeBuild.C("epoll", "sys/epoll.h", "libc6-dev")),
    ];

    /// <summary>PollerKit's peer from another build, for example <c>PollerKitPeer.dll</c> of another commit.</summary>
    public static Peer Baseline(FileInfo program) =>
        new(BaselineName, $"PollerKit, adaptive, epoll, of {program.FullName}", Tool.DotNet, [program.FullName, "adaptive", "epoll"]);

    private static Peer PollerKit(string dispatch, string backend, bool main = true) =>
        DotNet($"pollerkit-{dispatch}-{backend}", $"PollerKit, {dispatch}, {backend}", "PollerKitPeer", dispatch, backend) with
        {
            Main = main,
        };

    private static Peer Kestrel(string transport, string title) =>
        DotNet($"kestrel-{transport}", title, "KestrelPeer", transport) with { Http = true };

    private static Peer DotNet(string name, string title, string assembly, params string[] arguments) =>
        new(name, title, Tool.DotNet, [Path.Combine(AppContext.BaseDirectory, assembly + ".dll"), .. arguments]);

    private static Peer Native(string name, string title, NativeBuild build) => new(name, title, build.Output, []) { Build = build };
}
