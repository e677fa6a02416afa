using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of sd_listen_fds_with_names(3). Go has no such package; its programs use coreos/go-systemd's activation.

/// <summary>
/// The descriptors that a service manager such as systemd opened for this process, and handed over at its start (socket activation).
/// </summary>
/// <remarks>
/// The manager puts them at the numbers from 3 up, and says how many by environment variables: LISTEN_PID is the process that they are for,
/// LISTEN_FDS their count, and LISTEN_FDNAMES their names, with colons between them. LISTEN_PIDFDID, which newer managers add, is cleared
/// and not compared.
/// </remarks>
public static class SocketActivation
{
    private const int FirstDescriptor = 3;

    private static readonly Lock Taking = new();

    /// <summary>
    /// Takes the descriptors: makes them close-on-exec, and clears the variables, so that no child process takes them for its own. A second
    /// call finds none. The list is empty if there are none, or if they are for another process. Safe from any thread.
    /// </summary>
    /// <remarks>
    /// You own the handles. Give one to <see cref="NetStack.AdoptListener(SafeHandle, ListenOptions?)"/>,
    /// <see cref="NetStack.AdoptConn(SafeHandle)"/> or a <see cref="PolledFile"/>. .NET keeps an environment of its own, so native code in
    /// this process still sees the variables.
    /// </remarks>
    /// <exception cref="FormatException">
    /// A variable is not what the protocol says, or a descriptor is not open, or it is close-on-exec: then this process has opened it, and
    /// not the manager. The message names it. The variables are cleared, and no descriptor is taken.
    /// </exception>
    public static IReadOnlyList<ActivatedDescriptor> Take()
    {
        lock (Taking) return Take(Variable, Environment.ProcessId, FirstDescriptor);

        static string? Variable(string name)
        {
            string? value = Environment.GetEnvironmentVariable(name);
            Environment.SetEnvironmentVariable(name, null);
            return value;
        }
    }

    /// <summary>As <see cref="Take()"/>. <paramref name="variable"/> reads a variable and clears it.</summary>
    internal static IReadOnlyList<ActivatedDescriptor> Take(Func<string, string?> variable, int process, int first)
    {
        string? pid = variable("LISTEN_PID");
        string? count = variable("LISTEN_FDS");
        string? names = variable("LISTEN_FDNAMES");
        _ = variable("LISTEN_PIDFDID");
        if (pid is null || count is null || Number("LISTEN_PID", pid, 1) != process) return [];

        int descriptors = Number("LISTEN_FDS", count, 0);
        string[]? name = descriptors == 0 ? [] : names?.Split(':');
        if (name is not null && name.Length != descriptors)
        {
            throw new FormatException($"LISTEN_FDNAMES=\"{names}\": {descriptors} names were expected, one for each of LISTEN_FDS.");
        }
        List<FileKind> kinds = []; // It grows by descriptors that are open, so a count that is much too large costs nothing.
        for (int i = 0; i < descriptors; i++)
        {
            Errno error = UnixFileApi.KindOf(first + i, out FileKind kind);
            if (error != Errno.None) throw Refused(i, $"is not open: {error.Message}");

            // Nothing that is close-on-exec has come through execve(2). The runtime opens its own so, at the first free numbers.
            if (UnixFileApi.IsCloseOnExec(first + i) == 1) throw Refused(i, "is close-on-exec, so this process has opened it");
            kinds.Add(kind);
        }
        return [.. kinds.Select((kind, i) => Take(NameOf(i), first + i, kind))];

        string NameOf(int i) => name is null ? "unknown" : name[i];

        FormatException Refused(int i, string what) =>
            new($"LISTEN_FDS=\"{count}\": descriptor {first + i}, \"{NameOf(i)}\", {what}; one that the manager opened was expected.");
    }

    private static ActivatedDescriptor Take(string name, nint fd, FileKind kind)
    {
        IoResult result = UnixFileApi.SetCloseOnExec(fd);
        if (!result.IsSuccess) throw new NetpollException($"make fd {fd} close-on-exec", result.Errno);
        SafeHandle handle = kind == FileKind.Socket ? new SafeSocketHandle(fd, true) : new SafeFileHandle(fd, true);
        return new ActivatedDescriptor(name, handle);
    }

    private static int Number(string variable, string text, int least) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least
            ? number
            : throw new FormatException($"{variable}=\"{text}\": a number from {least} up was expected.");
}
