using System.Diagnostics.CodeAnalysis;

namespace Poller.Abstractions;

/// <summary>Makes pollers of one kind: a runtime takes one poller for each of its loops. Safe from any thread.</summary>
public interface INetpollFactory
{
    /// <summary>The backend's name in lower case, the same as <see cref="INetpoll.Name"/> of what it creates.</summary>
    string Name { get; }

    /// <summary>Whether the backend works on this machine.</summary>
    /// <param name="reason">
    /// When it does not: why, and what was expected, as a phrase that can follow the backend's name and a colon.
    /// </param>
    bool IsSupported([NotNullWhen(false)] out string? reason);

    /// <summary>Makes a poller that has yet to be initialised; the caller owns it.</summary>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine; the message says why.</exception>
    INetpoll Create();
}
