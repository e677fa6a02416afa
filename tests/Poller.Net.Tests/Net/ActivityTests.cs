using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The activities of dials and accepts.</summary>
public sealed class ActivityTests : NetTest<EpollBackend>
{
    [Fact]
    public async Task A_dial_and_its_accept_are_activities_with_the_tags_of_OpenTelemetry()
    {
        using Recorder recorder = new();
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        ValueTask<TcpConn> accepting = listener.AcceptTcpAsync();
        using Conn client = await fixture.Net.DialAsync("tcp", $"localhost:{port}");
        using TcpConn server = await accepting;

        Activity dial = recorder.One("Poller.Net.Dial", "server.port", port);
        Assert.Equal(ActivityKind.Client, dial.Kind);
        Assert.Equal($"dial tcp localhost:{port}", dial.DisplayName);
        Assert.Equal(ActivityStatusCode.Unset, dial.Status);
        Assert.Equal("localhost", dial.GetTagItem("server.address"));
        Assert.Contains("network.transport=tcp server.address=localhost server.port=" + port, recorder.Sampled);
        Assert.Equal("tcp", dial.GetTagItem("network.transport"));
        Assert.Equal("ipv4", dial.GetTagItem("network.type"));
        Assert.Equal("127.0.0.1", dial.GetTagItem("network.peer.address"));
        Assert.Equal(port, dial.GetTagItem("network.peer.port"));

        Activity accept = recorder.One("Poller.Net.Accept", "network.local.port", port);
        Assert.Equal(ActivityKind.Internal, accept.Kind);
        Assert.Equal("accept tcp", accept.DisplayName);
        Assert.Equal(((IPEndPoint)client.LocalEndPoint).Port, accept.GetTagItem("network.peer.port"));
        Assert.Equal("127.0.0.1", accept.GetTagItem("network.peer.address"));
    }

    [Fact]
    public async Task A_dial_that_fails_says_why()
    {
        using Recorder recorder = new();
        using Gauges gauges = new();
        using Netpoller poller = new(EpollBackend.Factory, new NetpollerOptions { MeterFactory = gauges });
        NetStack net = new(poller);
        using Socket silent = Raw.Bind();
        int port = ((IPEndPoint)silent.LocalEndPoint!).Port;
        await Assert.ThrowsAsync<NetOpException>(() => net.DialAsync("tcp", $"127.0.0.1:{port}").AsTask());
        Activity dial = recorder.One("Poller.Net.Dial", "server.port", port);
        Assert.Equal(ActivityStatusCode.Error, dial.Status);
        Assert.Equal("connection_refused", dial.GetTagItem("error.type"));
        Assert.Equal(1, gauges["poller.errors error.type=connection_refused poller.operation=dial"]);
    }

    [Fact]
    public async Task A_dial_of_a_Unix_socket_has_its_path()
    {
        using Recorder recorder = new();
        using Fixture fixture = new();
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.sock");
        using UnixConnListener listener = fixture.Net.ListenUnix(new UnixDomainSocketEndPoint(path));
        using UnixConn client = await fixture.Net.DialUnixAsync(new UnixDomainSocketEndPoint(path));
        Activity dial = recorder.One("Poller.Net.Dial", "server.address", path);
        Assert.Equal("unix", dial.GetTagItem("network.transport"));
        Assert.Equal(path, dial.GetTagItem("network.peer.address"));
        Assert.Null(dial.GetTagItem("server.port"));
    }

    [Fact]
    public async Task A_dial_is_the_child_of_the_callers_activity_and_does_not_stay_current()
    {
        using Recorder recorder = new();
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using Activity caller = new Activity("caller").Start();
        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint);
        Assert.Same(caller, Activity.Current);
        Activity dial = recorder.One("Poller.Net.Dial", "server.port", ((IPEndPoint)listener.LocalEndPoint).Port);
        Assert.Equal(caller.SpanId, dial.ParentSpanId);
        await Task.Yield();
    }

    [Fact]
    public async Task An_accept_is_no_child_of_the_callers_activity_whether_it_waited_or_not()
    {
        using Recorder recorder = new();
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint);
        using Activity caller = new Activity("caller").Start();
        using TcpConn server = listener.AcceptTcp(); // It finds the connection in the queue, or waits on this thread.
        Assert.Same(caller, Activity.Current);
        Activity accept = recorder.One("Poller.Net.Accept", "network.local.port", port);
        Assert.Null(accept.Parent);
        Assert.Equal(default, accept.ParentSpanId);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_listener_that_throws_fails_neither_a_dial_nor_an_accept(int whenItThrows)
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        AsyncLocal<bool> isOfThisTest = new() { Value = true };
        int thrown = 0;
        using ActivityListener bad = new()
        {
            ShouldListenTo = static source => source.Name == "Poller.Net",
            Sample = (ref _) =>
            {
                Throw(0);
                return ActivitySamplingResult.AllData;
            },
            ActivityStarted = _ => Throw(1),
            ActivityStopped = _ => Throw(2),
        };
        ActivitySource.AddActivityListener(bad);
        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint);
        using TcpConn server = listener.AcceptTcp();
        await client.WriteAsync(new byte[1]);
        Assert.Equal(1, server.Read(new byte[2]));
        Assert.Null(Activity.Current);
        Assert.True(thrown >= 2);

        void Throw(int when)
        {
            if (when != whenItThrows || !isOfThisTest.Value) return;
            Interlocked.Increment(ref thrown);
            throw new InvalidTimeZoneException();
        }
    }

    /// <summary>Listens to the library's activities, also those of other tests.</summary>
    private sealed class Recorder : IDisposable
    {
        private readonly ConcurrentQueue<Activity> _stopped = [];
        private readonly ActivityListener _listener;

        /// <summary>The tags that the sampler saw.</summary>
        public ConcurrentQueue<string> Sampled { get; } = [];

        public Recorder()
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = static source => source.Name == "Poller.Net",
                Sample = (ref options) =>
                {
                    Sampled.Enqueue(string.Join(' ', (options.Tags ?? []).Select(static tag => $"{tag.Key}={tag.Value}")));
                    return ActivitySamplingResult.AllData;
                },
                ActivityStopped = _stopped.Enqueue,
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public Activity One(string name, string tag, object value) =>
            Assert.Single(_stopped, activity => activity.OperationName == name && Equals(activity.GetTagItem(tag), value));

        public void Dispose() => _listener.Dispose();
    }
}
