using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

// The names and tags are those of OpenTelemetry's conventions for sockets: network.transport, network.peer.address, server.address,
// error.type. While nobody listens, no activity is created.

/// <summary>The activities of dials and accepts.</summary>
internal static class PollerActivities
{
    private const string ListenerOfDials = "a listener of the activity Poller.Net.Dial";

    private static readonly ActivitySource Source = new(PollerMetrics.MeterName);

    /// <summary>Whether someone listens.</summary>
    public static bool HasListeners => Source.HasListeners();

#pragma warning disable CA1031 // An ActivityListener runs on this thread, and .NET does not catch what it throws.
    /// <summary>Begins the activity of a dial; null if nobody wants it. A null port means that the network has none.</summary>
    public static Activity? Dial(Netpoller poller, SocketNetwork network, string host, int? port)
    {
        if (!HasListeners) return null;
        try
        {
            // A sampler sees only what the activity is created with.
            TagList tags = [new("network.transport", TransportOf(network)), new("server.address", host)];
            if (port is not null) tags.Add("server.port", port);
            Activity? activity = Source.StartActivity("Poller.Net.Dial", ActivityKind.Client, parentContext: default, tags);
            activity?.DisplayName = port is null ? $"dial {network.Name} {host}" : $"dial {network.Name} {host}:{port}";
            return activity;
        }
        catch (Exception e)
        {
            poller.Report(ListenerOfDials, e);
            return null;
        }
    }

    /// <summary>Ends the activity of a dial.</summary>
    public static void End(Netpoller poller, Activity? activity)
    {
        try
        {
            activity?.Dispose();
        }
        catch (Exception e)
        {
            poller.Report(ListenerOfDials, e);
        }
    }

    /// <summary>Records an accept that began at <paramref name="start"/> and has taken a connection from the queue.</summary>
    public static void Accepted(Netpoller poller, NetFd listener, NetFd conn, DateTimeOffset start)
    {
        // It is internal, because a server activity counts as a request. An accept that waited runs on a loop, where no activity is
        // current. One that did not wait has none above it either.
        Activity? before = Activity.Current;
        Activity.Current = null;
        try
        {
            using Activity? activity = Source.StartActivity(ActivityKind.Internal, startTime: start, name: "Poller.Net.Accept");
            if (activity is null) return;
            activity.DisplayName = $"accept {listener.Network}";
            conn.Tag(activity);
        }
        catch (Exception e)
        {
            poller.Report("a listener of the activity Poller.Net.Accept", e);
        }
        finally
        {
            Activity.Current = before;
        }
    }
#pragma warning restore CA1031

    /// <summary>Notes why an activity failed.</summary>
    public static void Fail(Activity? activity, Exception error)
    {
        activity?.SetTag("error.type", PollerMetrics.TypeOf(error));
        activity?.SetStatus(ActivityStatusCode.Error, error.Message);
    }

    /// <summary>Notes the network and the addresses of a connection, as far as they are known.</summary>
    public static void Tag(Activity activity, SocketNetwork network, EndPoint? local, EndPoint? peer)
    {
        activity.SetTag("network.transport", TransportOf(network));
        SetAddress(activity, "network.local", local);
        SetAddress(activity, "network.peer", peer);
        if (peer is IPEndPoint ip)
        {
            activity.SetTag("network.type", ip.AddressFamily == AddressFamily.InterNetworkV6 ? "ipv6" : "ipv4");
        }
    }

    private static string? TransportOf(SocketNetwork network) =>
        network.IsUnix ? "unix" : network.IsTcp ? "tcp" : network.Protocol == ProtocolType.Udp ? "udp" : null;

    private static void SetAddress(Activity activity, string prefix, EndPoint? address)
    {
        if (address is IPEndPoint ip)
        {
            activity.SetTag($"{prefix}.address", ip.Address.ToString());
            activity.SetTag($"{prefix}.port", ip.Port);
        }
        else if (address?.ToString() is { Length: > 0 } name) activity.SetTag($"{prefix}.address", name);
    }
}
