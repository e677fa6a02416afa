using System.Runtime.InteropServices;
using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>
/// The sockets that a service manager has handed over, for the listeners with their names. They are taken when the first of these asks.
/// Safe from any thread.
/// </summary>
internal sealed class ActivatedSockets : IDisposable
{
    private readonly Lock _lock = new();

    // Guarded by the lock.
    private List<ActivatedDescriptor>? _left;

    /// <summary>Takes those with a name. They are the caller's.</summary>
    /// <exception cref="FormatException">The manager's variables are invalid. The message names the one.</exception>
    public List<SafeHandle> Take(string name)
    {
        lock (_lock)
        {
            _left ??= [.. SocketActivation.Take()];
            List<SafeHandle> taken = [.. _left.Where(socket => socket.Name == name).Select(static socket => socket.Handle)];
            _left.RemoveAll(socket => socket.Name == name);
            return taken;
        }
    }

    /// <summary>The names of those that no listener has taken yet.</summary>
    public string Names
    {
        get { lock (_lock) return string.Join(", ", (_left ?? []).Select(static socket => $"\"{socket.Name}\"")); }
    }

    /// <summary>Closes those that no listener has taken.</summary>
    public void Dispose()
    {
        lock (_lock) _left?.ForEach(static socket => socket.Handle.Dispose());
    }
}
