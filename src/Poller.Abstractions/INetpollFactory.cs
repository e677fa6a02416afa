using System.Diagnostics.CodeAnalysis;

namespace Poller.Abstractions;

/// <summary>Creates pollers of one kind. A runtime takes one poller for each of its loops. Safe from any thread.</summary>
public interface INetpollFactory
{
    /// <summary>The backend's name in lower case: the <see cref="INetpoll.Name"/> of the pollers it creates.</summary>
    string Name { get; }

    /// <summary>Whether the backend works on this machine.</summary>
    /// <param name="reason">
    /// When it does not work: why, and what was expected. The phrase can follow the backend's name and a colon.
    /// </param>
    bool IsSupported([NotNullWhen(false)] out string? reason);

    /// <summary>Creates a poller. The caller initialises it, and owns it.</summary>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine; the message says why.</exception>
    INetpoll Create();
}
