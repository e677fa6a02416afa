using Microsoft.Extensions.DependencyInjection;
using Poller.Net;

// Says where it listens, sends back what its first connection sends, and ends when that connection does.
ServiceCollection services = new();
services.AddPoller();
await using ServiceProvider provider = services.BuildServiceProvider();

using ConnListener listener = provider.GetRequiredService<NetStack>().Listen("tcp", "127.0.0.1:0");
Console.WriteLine(listener.LocalEndPoint);

using Conn conn = await listener.AcceptAsync();
byte[] buffer = new byte[4096];
while (await conn.ReadAsync(buffer) is > 0 and var n) await conn.WriteAsync(buffer.AsMemory(0, n));
