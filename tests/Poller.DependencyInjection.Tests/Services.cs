using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>An app's services in the making, and what the tests ask of them.</summary>
internal static class Services
{
    public static ServiceCollection With(Action<ServiceCollection> add)
    {
        ServiceCollection services = new();
        add(services);
        return services;
    }

    public static IServiceCollection AddSettings(this IServiceCollection services, params (string Key, string Value)[] settings) =>
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(static setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)))
            .Build());

    public static IServiceCollection AddLog(this IServiceCollection services, Log log) =>
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(log));

    /// <summary>The backend of the poller that these services make.</summary>
    public static string Backend(this IServiceCollection services)
    {
        using ServiceProvider provider = services.BuildServiceProvider();
        return provider.GetRequiredService<Netpoller>().Backend;
    }

    /// <summary>That an echo comes back over a stack, both ends of it.</summary>
    public static async Task EchoAsync(this NetStack net)
    {
        TimeSpan patience = TimeSpan.FromMinutes(1);
        using ConnListener listener = net.Listen("tcp", "127.0.0.1:0");
        ValueTask<Conn> accepting = listener.AcceptAsync();
        using Conn client = await net.DialAsync("tcp", listener.LocalEndPoint.ToString()!).AsTask().WaitAsync(patience);
        using Conn server = await accepting.AsTask().WaitAsync(patience);
        await client.WriteAsync(new byte[] { 42 }).AsTask().WaitAsync(patience);
        byte[] read = new byte[2];
        Assert.Equal(1, await server.ReadAsync(read).AsTask().WaitAsync(patience));
        Assert.Equal(42, read[0]);
    }
}
