using System.ComponentModel;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;
using Poller.Net;

namespace Watch.Sources;

/// <summary>The kinds of source, by the names that the command line has for them.</summary>
internal static class SourceKinds
{
    private static readonly SourceKind[] All =
    [
        new("pipe", "/path", "the path of a pipe or of a FIFO", PipeSource.Open),
        new("fifo", "/path", "the path of a FIFO", FifoSource.Open),
        new("pty", "bash", "a program, such as bash,", PtySource.Open),
        new("inotify", "/dir", "the path of a directory or of a file", InotifySource.Open),
        new("timer", "250ms", "a time of at least 1ms, such as 250ms, 5s or 1m,", TimerSource.Open),
        new("udp", "127.0.0.1:9999", "an address of this machine and a port, such as 127.0.0.1:9999 or [::1]:9999,", UdpSource.Open),
        new("signal", "USR1", $"one of {SignalSource.Names}", SignalSource.Open),
        new("process", "PID", "the number of a process that runs", ProcessSource.Open),
        new("stdin", null, "nothing after it", StdinSource.Open),
        new("netlink", "route", "route", NetlinkSource.Open),
    ];

    /// <summary>An example of each.</summary>
    public static string Help { get; } = string.Join(", ", All.Select(static kind => kind.Example));

    /// <summary>Opens the source that a text of the command line names.</summary>
    /// <exception cref="SourceException">There is no such source, or the system refuses it.</exception>
    public static Source Open(Netpoller poller, string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string name = colon < 0 ? text : text[..colon];
        SourceKind kind = Array.Find(All, kind => kind.Name == name)
            ?? throw new SourceException($"there is no kind \"{name}\"; one of {Help} was expected");
        string value = colon < 0 ? "" : text[(colon + 1)..];
        if (kind.Value is null ? colon >= 0 : value.Length == 0) throw new SourceException($"{kind.Expected} was expected after \"{name}\"");
        try
        {
            using (SafeFileHandle probe = LibC.OpenCounter()) DescriptorLimit.ThrowIfLow((int)probe.DangerousGetHandle());
            return kind.Open(poller, value);
        }
        catch (NetOpException e) when (e.InnerException is NetpollException { Error: var error } && error == Errno.EPERM)
        {
            throw new SourceException($"{e.Operation}: it cannot be polled; {kind.Expected} was expected");
        }
        catch (FormatException e)
        {
            throw new SourceException($"{e.Message}; {kind.Expected} was expected");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException or Win32Exception)
        {
            throw new SourceException($"{e.Message.TrimEnd('.')}; {kind.Expected} was expected");
        }
    }

    /// <param name="Name">What stands before the colon.</param>
    /// <param name="Value">An example of what stands after it, or null if nothing does.</param>
    /// <param name="Expected">What stands after it, in words.</param>
    /// <param name="Open">
    /// Opens a source. Throws <see cref="FormatException"/> if the value is wrong, or what the system's refusal throws.
    /// </param>
    private sealed record SourceKind(string Name, string? Value, string Expected, Func<Netpoller, string, Source> Open)
    {
        public string Example => Value is null ? Name : $"{Name}:{Value}";
    }
}
