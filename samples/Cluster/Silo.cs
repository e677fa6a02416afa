using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Orleans.Configuration;

namespace Cluster;

/// <summary>
/// A silo in a process of its own. It tells the driver on its standard output what it has to know, and ends with its standard input.
/// </summary>
internal static class Silo
{
    /// <summary>The name of the cluster and of its service, which the silos and the clients must have in common.</summary>
    public const string Name = "counted";

    /// <summary>The line that says that the silo takes part in the cluster.</summary>
    public const string Ready = "ready";

    /// <summary>The line that says that the cluster has declared a silo dead.</summary>
    public static string Dead(int port) => string.Create(CultureInfo.InvariantCulture, $"dead {port}");

    /// <param name="transport">What carries its messages.</param>
    /// <param name="settings">Its own port and the folder of the ledgers.</param>
    /// <param name="gatewayPort">Where clients connect.</param>
    /// <param name="primaryPort">The silo that keeps the table of the cluster's members.</param>
    public static async Task RunAsync(Transport transport, SiloSettings settings, int gatewayPort, int primaryPort)
    {
        // Ctrl+C in a terminal reaches the driver too, which then ends its silos.
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, static signal => signal.Cancel = true);
        new Thread(EndWithInput) { IsBackground = true, Name = "standard input" }.Start();

        HostApplicationBuilder builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.AddSimpleConsole(static options => options.SingleLine = true).SetMinimumLevel(LogLevel.Warning);
        builder.Services.Configure<ConsoleLoggerOptions>(static options => options.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.UseOrleans(silo =>
        {
            silo.UseLocalhostClustering(settings.Port, gatewayPort, new IPEndPoint(IPAddress.Loopback, primaryPort), Name, Name);

            // By default it takes a cluster up to half a minute to notice that a silo is gone.
            silo.Configure<ClusterMembershipOptions>(static options => options.ProbeTimeout = TimeSpan.FromSeconds(1));
            silo.Services.AddSingleton(settings);
            transport.AddTo(silo.Services);
        });
        using IHost host = builder.Build();
        await host.StartAsync();
        Console.WriteLine(Ready);

        HashSet<SiloAddress> told = [];
        IClusterMembershipService membership = host.Services.GetRequiredService<IClusterMembershipService>();
        await foreach (ClusterMembershipSnapshot snapshot in membership.MembershipUpdates)
        {
            foreach (ClusterMember member in snapshot.Members.Values)
            {
                if (member.Status != SiloStatus.Dead || !told.Add(member.SiloAddress)) continue;
                Console.WriteLine(Dead(member.SiloAddress.Endpoint.Port));
            }
        }
    }

    // The driver holds the other end, and so does nobody when the driver is gone.
    private static void EndWithInput()
    {
        using Stream input = Console.OpenStandardInput();
        while (input.ReadByte() >= 0)
        {
        }
        Environment.Exit(0);
    }
}
