namespace Poller.AspNetCore.Tests;

/// <summary>What a host leaves behind: nothing. The counts are the process's, so nothing runs beside these.</summary>
[Collection(ProcessWide.Name)]
public abstract class DescriptorTests<TTransport> where TTransport : ITestTransport
{
    [Fact]
    public async Task A_host_that_is_disposed_with_connections_open_leaves_no_descriptor()
    {
        await UseAndDisposeAsync(2); // Now all is there that is made on first use.
        GC.Collect(); // What earlier tests dropped is not counted.
        GC.WaitForPendingFinalizers();
        Dictionary<string, int> before = OpenDescriptors();
        await UseAndDisposeAsync(20);
        SpinWait.SpinUntil(() => !Left().Any(), Waiting.Patience); // The threads of a poller that was disposed end a little later.
        Assert.Empty(Left());

        IEnumerable<KeyValuePair<string, int>> Left() =>
            OpenDescriptors().Where(kind => kind.Value > before.GetValueOrDefault(kind.Key));

        static async Task UseAndDisposeAsync(int count)
        {
            List<RawClient> clients = [];
            await using (Server server = await Server.StartAsync<TTransport>())
            {
                string hangs = server.Map(static context => context.RequestAborted.Fired());
                for (int i = 0; i < count; i++)
                {
                    RawClient silent = await server.ConnectAsync();
                    RawClient waiting = await server.ConnectAsync();
                    await waiting.SendAsync($"GET {hangs} HTTP/1.1\r\nHost: x\r\n\r\n");
                    await server.Of(silent).Began;
                    await server.Of(waiting).Began;
                    clients.AddRange([silent, waiting]);
                }
            }
            foreach (RawClient client in clients)
            {
                await client.ReadToEndAsync();
                client.Dispose();
            }
        }
    }

    /// <summary>
    /// How many descriptors of each kind there are. The runtime opens files when it likes, and the pipes are of programs that other tests ran.
    /// </summary>
    private static Dictionary<string, int> OpenDescriptors() => new DirectoryInfo("/proc/self/fd").GetFiles()
        .Select(static file => file.LinkTarget ?? "")
        .Where(static target => !target.StartsWith('/') && !target.StartsWith("pipe:", StringComparison.Ordinal))
        .Select(static target => target.StartsWith("anon_inode", StringComparison.Ordinal) ? target : target.Split(':')[0])
        .CountBy(static kind => kind)
        .ToDictionary();
}

/// <inheritdoc cref="ProcessWide"/>
[CollectionDefinition(ProcessWide.Name, DisableParallelization = true)]
public sealed class ProcessWideTests;
