using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>
/// What <see cref="PollerServiceCollectionExtensions.AddPoller(Microsoft.Extensions.DependencyInjection.IServiceCollection,
/// Action{PollerOptions}?)"/> makes.
/// </summary>
/// <remarks>Read once, when the poller is made: a change after that has no effect.</remarks>
public sealed class PollerOptions
{
    /// <summary>The <see cref="Backend"/> that stands for the best one that works here.</summary>
    public const string Auto = "auto";

    /// <summary>
    /// The backend's name, in any case: one of <see cref="Backends"/>, <c>epoll</c>, <c>epoll-level</c>, <c>kqueue</c>, <c>posix</c>, or
    /// <see cref="Auto"/>, the default: the first of <see cref="Backends"/>, <c>epoll</c>, <c>kqueue</c> and <c>posix</c> that works here.
    /// </summary>
    public string Backend
    {
        get;
        set
        {
            field = value;
            BackendSetBy = null;
        }
    } = Auto;

    /// <summary>Where continuations run. Default <see cref="NetpollDispatch.Adaptive"/>.</summary>
    public NetpollDispatch Dispatch { get; set; } = NetpollDispatch.Adaptive;

    /// <summary>How many loops poll, 1 to 1024. Default 1.</summary>
    public int Loops { get; set; } = 1;

    /// <summary>Backends beside PollerKit's own, or in their place where the name is the same. The options do not own them.</summary>
    public IList<INetpollFactory> Backends { get; } = [];

    /// <summary>The setting that <see cref="Backend"/> comes from, for messages; null when code set it.</summary>
    internal string? BackendSetBy { get; private set; }

    internal void SetBackend(string name, string setBy)
    {
        Backend = name;
        BackendSetBy = setBy;
    }
}
