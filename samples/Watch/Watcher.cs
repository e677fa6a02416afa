using System.Runtime.InteropServices;
using Poller.Abstractions;
using Poller.DependencyInjection;
using Poller.Net;
using Watch.Sources;

namespace Watch;

/// <summary>Opens the sources, and prints their events until a signal comes or nothing is left to watch.</summary>
internal sealed class Watcher(Output output)
{
    // How long lines may still wait, after the end, for a reader of the standard output.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    private readonly Dictionary<Source, string> _sources = [];

    /// <summary>
    /// Watches. Returns the exit code: 0 after SIGINT, SIGTERM, SIGHUP or the end of all sources, and also if the reader of the standard
    /// output has gone; 1 if no source could be opened, or if the standard output refuses a line; 2 if there is no such backend.
    /// </summary>
    public static async Task<int> RunAsync(string backend, IEnumerable<string> sources)
    {
        INetpollFactory factory;
        try
        {
            factory = NetpollFactory.Named(backend);
        }
        catch (Exception e) when (e is ArgumentException or PlatformNotSupportedException)
        {
            string parameter = $" (Parameter '{(e as ArgumentException)?.ParamName}')";
            Complain($"--{e.Message.Replace(parameter, "", StringComparison.Ordinal)}");
            return 2;
        }
        if (!OperatingSystem.IsLinux())
        {
            Complain("Linux was expected: most of the sources are Linux's alone.");
            return 1;
        }
        try
        {
            return await RunAsync(factory, sources);
        }
        catch (IOException e)
        {
            Complain(e.Message); // There can be no poller, or the standard output is closed.
            return 1;
        }
    }

    private static async Task<int> RunAsync(INetpollFactory factory, IEnumerable<string> sources)
    {
        TaskCompletionSource signalled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using PosixSignalRegistration interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using PosixSignalRegistration hungUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        Output.ThrowIfClosed();
        await using Netpoller poller = new(factory); // It has one loop, which everything below shares.
        await using Output output = new(poller);
        Watcher watcher = new(output);
        watcher.Open(poller, sources);
        if (watcher._sources.Count == 0) return 1;

        Task watching = watcher.WatchAsync();
        await Task.WhenAny(watching, signalled.Task, output.Failed);
        output.SetDeadline(Grace);
        foreach (Source source in watcher._sources.Keys) await source.DisposeAsync();
        await watching;
        if (output.Error is null) return 0;
        Complain($"standard output: {output.Error.Message}");
        return 1;

        void OnSignal(PosixSignalContext signal)
        {
            signal.Cancel = true; // The process ends after its sources.
            signalled.TrySetResult();
        }
    }

    private void Open(Netpoller poller, IEnumerable<string> texts)
    {
        foreach (string text in texts)
        {
            try
            {
                _sources.Add(SourceKinds.Open(poller, text), text);
            }
            catch (SourceException e)
            {
                // After a name without a value the colon is there already.
                string name = text.Split(':') is [var kind, ""] ? kind : text;
                Complain($"{name}: {e.Message}");
            }
        }
    }

    // A source that is always ready, such as a standard input that is a file, runs where it is started. So it is not started here.
    private Task WatchAsync() => Task.WhenAll(_sources.Select(source => Task.Run(() => WatchAsync(source.Key, source.Value))));

    private async Task WatchAsync(Source source, string text)
    {
        try
        {
            await output.SayAsync($"{text}: open, {source.Description}");
            await foreach (string line in source.EventsAsync()) await output.SayAsync($"{text}: {line}");
        }
        catch (Exception e) when (EndsWatch(e))
        {
            // The shutdown has ended its wait, or a line that waited for the reader of the standard output.
        }
        catch (IOException e)
        {
            Complain($"{text}: {e.Message}"); // This ends only this source.
        }
    }

    private static bool EndsWatch(Exception e) =>
        e is NetOpException { IsClosed: true } or NetOpException { IsTimeout: true } or ObjectDisposedException or OperationCanceledException;

    private static void Complain(string line)
    {
        try
        {
            Console.Error.WriteLine(line);
        }
        catch (IOException)
        {
            // There is no other place to report it.
        }
    }
}
