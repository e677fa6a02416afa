using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>The metrics of pollers that are services.</summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task The_meter_comes_from_the_services_and_the_key_is_the_pollers_name()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddMetrics();
        builder.Services.AddPoller();
        builder.Services.AddKeyedPoller("second");
        using IHost host = builder.Build();
        IMeterFactory factory = host.Services.GetRequiredService<IMeterFactory>();
        Dictionary<string, long> descriptors = [];
        using MeterListener listener = new()
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name != "poller.descriptors" || instrument.Meter.Scope != factory) return;
                Assert.Equal("Poller.Net", instrument.Meter.Name);
                listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            foreach ((string name, object? tag) in tags)
            {
                if (name == "poller.name") descriptors[(string)tag!] = value;
            }
        });
        listener.Start();
        IPEndPoint any = new(IPAddress.Loopback, 0);
        await using TcpConnListener one = host.Services.GetRequiredService<NetStack>().ListenTcp(any);
        NetStack second = host.Services.GetRequiredKeyedService<NetStack>("second");
        await using TcpConnListener other = second.ListenTcp(any), another = second.ListenTcp(any);
        listener.RecordObservableInstruments();
        Assert.Equal(1, descriptors[host.Services.GetRequiredService<Netpoller>().Backend]);
        Assert.Equal(2, descriptors["second"]);
    }
}
