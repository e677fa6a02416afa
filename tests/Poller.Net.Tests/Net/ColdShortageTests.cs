using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>
/// A server that runs out of descriptors before it has done anything else. What .NET loads then takes descriptors for good, and a process
/// for which none is left dies.
/// </summary>
[Collection(nameof(Alone))]
public abstract class ColdShortageTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Limit = 160;
    private const int Clients = 200; // There are fewer descriptors.
    private const int Leavers = 150;

    public static TheoryData<int, bool> Runs
    {
        get
        {
            int count = TestLength.IsLong ? 20 : 1;
            TheoryData<int, bool> runs = [];
            for (int i = 1; i <= count; i++)
            {
                runs.Add(i, false);
                runs.Add(i, true);
            }
            return runs;
        }
    }

    [Theory, MemberData(nameof(Runs)), Trait("Tests", "long")]
    public async Task A_cold_server_lives_through_a_shortage_and_serves_on(int run, bool blocking)
    {
        _ = run;
        using Server server = new(blocking);
        int port = int.Parse((await server.AnswerAsync())["port ".Length..], CultureInfo.InvariantCulture);
        List<Socket> clients = [];
        try
        {
            for (int i = 0; i < Clients; i++) clients.Add(await Raw.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port)));
            await server.ShortageAsync();
            Assert.Equal("worked", await server.AskAsync("work"));
            Assert.Contains(DescriptorReserve.Expected, await server.AskAsync("dial"), StringComparison.Ordinal);

            foreach (Socket leaver in clients[..Leavers]) leaver.Dispose();
            clients.RemoveRange(0, Leavers);
            foreach (Socket client in clients)
            {
                Assert.Equal(1, await client.SendAsync(new byte[1]).Within());
                Assert.Equal(1, await client.ReceiveAsync(new byte[1]).Within());
            }
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
        Assert.Equal(0, await server.EndAsync());
    }

    /// <summary>The test assembly as a server, with few descriptors.</summary>
    private sealed class Server : IDisposable
    {
        private readonly Process _process;
        private readonly TaskCompletionSource _shortage = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<string> _errors = [];

        public Server(bool blocking)
        {
            string form = blocking ? "blocking" : "async";
            string shell = $"ulimit -n {Limit}; exec \"$0\" \"$@\"";
            string[] server = ["exec", typeof(Server).Assembly.Location, form, typeof(TBackend).Name];
            ProcessStartInfo start = new("/bin/sh", ["-c", shell, Environment.ProcessPath!, .. server])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            _process = Process.Start(start)!;
            _process.ErrorDataReceived += (_, line) =>
            {
                if (line.Data is null) return;
                lock (_errors) _errors.Add(line.Data);
                if (line.Data.StartsWith("poller: accept", StringComparison.Ordinal)) _shortage.TrySetResult();
            };
            _process.BeginErrorReadLine();
        }

        /// <summary>Comes back once it has told of a shortage.</summary>
        public Task ShortageAsync() => Orderly(_shortage.Task);

        public async Task<string> AskAsync(string question)
        {
            await Orderly(_process.StandardInput.WriteLineAsync(question));
            return await AnswerAsync();
        }

        public async Task<string> AnswerAsync()
        {
            Task<string?> answer = _process.StandardOutput.ReadLineAsync();
            await Orderly(answer);
            return await answer ?? throw new EndOfStreamException(Told("the server ended"));
        }

        /// <summary>Ends its input, and comes back with its exit code.</summary>
        public async Task<int> EndAsync()
        {
            _process.StandardInput.Close();
            await Orderly(_process.WaitForExitAsync());
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited) _process.Kill();
            _process.Dispose();
        }

        private async Task Orderly(Task task)
        {
            try
            {
                await task.Within();
            }
            catch (Exception e) when (e is TimeoutException or IOException)
            {
                throw new InvalidOperationException(Told("the server does not answer"), e);
            }
        }

        private string Told(string what)
        {
            lock (_errors) return $"{what}; it told: {string.Join('\n', _errors)}";
        }
    }
}
