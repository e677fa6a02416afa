using System.Net;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// An echo server in a process of its own, which a test starts with few descriptors: what a process without descriptors dies of is what it
/// has not loaded before. It is the entry point of the test assembly, which the test runner does not use.
/// </summary>
internal static class ShortageServer
{
    /// <summary>Prints the port it listens on, then answers each line of its standard input with a line.</summary>
    public static async Task<int> Main(string[] arguments)
    {
        bool blocking = arguments[0] == "blocking";
        INetpollFactory backend = arguments[1] switch
        {
            nameof(EpollBackend) => EpollBackend.Factory,
            nameof(EpollLevelBackend) => EpollLevelBackend.Factory,
            nameof(PosixBackend) => PosixBackend.Factory,
            nameof(KqueueBackend) => KqueueBackend.Factory,
            string other => throw new ArgumentException($"\"{other}\": the name of a backend's class was expected."),
        };
        using Netpoller poller = new(backend);
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        if (blocking) new Thread(AcceptBlocking) { IsBackground = true }.Start();
        else _ = AcceptAsync();
        Console.WriteLine($"port {listener.LocalEndPoint.Port}");
        while (Console.ReadLine() is { } question)
        {
            Console.WriteLine(question switch
            {
                "dial" => Dial(),
                "work" => await WorkAsync(),
                _ => throw new ArgumentException($"\"{question}\": dial or work was expected."),
            });
        }
        return 0;

        async Task AcceptAsync()
        {
            while (true) _ = EchoAsync(await listener.AcceptAsync());
        }

        void AcceptBlocking()
        {
            try
            {
                while (true) _ = EchoAsync(listener.Accept());
            }
            catch (Exception e) when (e is NetOpException { IsClosed: true } or ObjectDisposedException)
            {
                // The end of the process.
            }
        }

        // In a shortage the handlers of an app may do these for the first time: fail and log why, wait, start threads.
        static async Task<string> WorkAsync()
        {
            string trace;
            try
            {
                await Task.Run(static () => throw new InvalidOperationException("a handler failed"));
                trace = "nothing was thrown";
            }
            catch (InvalidOperationException e)
            {
                trace = e.ToString();
            }
            await Task.Delay(1);
            Thread[] threads = [.. Enumerable.Range(0, 4).Select(static _ => new Thread(static () => Thread.Sleep(1)))];
            foreach (Thread thread in threads) thread.Start();
            foreach (Thread thread in threads) thread.Join();
            return trace.Contains(nameof(WorkAsync), StringComparison.Ordinal) ? "worked" : trace;
        }

        // Dials until it is refused.
        string Dial()
        {
            List<Conn> dialed = [];
            Dialer dialer = new(net) { Timeout = TimeSpan.FromMinutes(1) };
            try
            {
                while (true) dialed.Add(dialer.DialTcp(listener.LocalEndPoint));
            }
            catch (NetOpException e)
            {
                return $"dialed {dialed.Count}, then {e.SocketErrorCode}: {e.Message}";
            }
            finally
            {
                dialed.ForEach(static conn => conn.Dispose());
            }
        }
    }

    private static async Task EchoAsync(Conn conn)
    {
        using (conn)
        {
            byte[] buffer = new byte[256];
            while (await conn.ReadAsync(buffer) is var count and > 0) await conn.WriteAsync(buffer.AsMemory(0, count));
        }
    }
}
