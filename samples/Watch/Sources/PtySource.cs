using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;
using Poller.Net;

namespace Watch.Sources;

/// <summary>What a program prints on a terminal of its own. It ends when no process has the terminal any more.</summary>
/// <remarks>
/// forkpty(3) is not for managed code: after its fork the child has one thread of the runtime's, which may need locks that the others held.
/// So <see cref="Process"/> starts the program, by way of setsid(1) and a shell. The shell is then the leader of a session without a
/// terminal, and the terminal that it opens becomes the session's controlling one (tty(4)). After its exec the program has the shell's
/// process.
/// </remarks>
internal sealed class PtySource(PolledFile master, Process program, string path) : ByteSource(master)
{
    // $0 is the terminal, and $@ is the program.
    private const string Script = "exec <>\"$0\" >&0 2>&0 && exec \"$@\"";

    private const int EIO = 5;

    // How long the program may take to end after its terminal has hung up.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();

    public override string Description => $"{File}, process {program.Id} on {path}";

    public static Source Open(Netpoller poller, string command)
    {
        string[] words = command.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0 || !IsProgram(words[0])) throw new FormatException($"\"{command}\" names no program that is on the PATH");
        SafeFileHandle handle = LibC.OpenTerminal(out string path);
        PolledFile master = Poll(poller, handle);
        try
        {
            return new PtySource(master, Process.Start("setsid", ["sh", "-c", Script, path, .. words]), path);
        }
        catch
        {
            master.Dispose();
            throw;
        }
    }

    // As after a terminal window is closed: its processes get SIGHUP. What does not end by itself is killed, with its children.
    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await base.DisposeAsync();
        try
        {
            using CancellationTokenSource late = new(Grace);
            await program.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            program.Kill(entireProcessTree: true);
            await program.WaitForExitAsync();
        }
        program.Dispose();
        _stop.Dispose();
    }

    // A read of the master end fails with EIO when the last process has left the terminal.
    protected override async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        try
        {
            return await File.ReadAsync(buffer);
        }
        catch (NetOpException e) when (e.InnerException is NetpollException { Error.Number: EIO })
        {
            return 0;
        }
    }

    protected override async ValueTask<string> EndAsync()
    {
        await program.WaitForExitAsync(_stop.Token);
        return $"the end, process {program.Id} exited with {program.ExitCode}";
    }

    private static bool IsProgram(string name)
    {
        const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        if (name.Contains('/', StringComparison.Ordinal)) return IsExecutable(name);
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        return folders.Any(folder => IsExecutable(Path.Combine(folder, name)));

        static bool IsExecutable(string path) => System.IO.File.Exists(path) && (System.IO.File.GetUnixFileMode(path) & Execute) != 0;
    }
}
