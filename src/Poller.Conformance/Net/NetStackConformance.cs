using System.Diagnostics;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Conformance;

// What holds for every net stack, whatever its backend and dispatch are. Each theme has one file. The facts come from Go's nettest
// (golang.org/x/net/nettest/conntest.go) and from the tests of its net package (net/timeout_test.go, net_test.go, tcpsock_test.go). The
// property is NetStackCheck.

/// <summary>
/// The facts that hold for every <see cref="NetStack"/>, and the model of a connection. Inherit it in a test project, pass the stack, and
/// run the tests.
/// </summary>
/// <remarks>
/// <para>
/// To test a stack over your own backend, create a project that references Poller.Conformance, xunit, xunit.runner.visualstudio and
/// Microsoft.NET.Test.Sdk, and write one class for each dispatch:
/// </para>
/// <code>
/// using Poller.Conformance;
/// using Poller.Net;
///
/// public sealed class MyNetTests() : MyNetConformance(new Netpoller(new MyFactory()));
///
/// public abstract class MyNetConformance(Netpoller poller) : NetStackConformance(new NetStack(poller))
/// {
///     protected override void Dispose(bool disposing)
///     {
///         base.Dispose(disposing);
///         if (disposing) poller.Dispose();
///     }
/// }
/// </code>
/// <para>
/// The facts run over TCP on the loopback, with the async calls and with the blocking ones. Override <see cref="Network"/> to run them over
/// Unix sockets. Those of packets run over UDP. The stack's poller must use the system's clock.
/// </para>
/// <para>
/// Two environment variables change the run. <c>POLLER_CONFORMANCE_SEQUENCES</c> is the number of command sequences that are checked
/// against the model; the default is <see cref="Sequences"/>. <c>POLLER_SEED</c> is the seed of the first one: it replays a failure, whose
/// report names its seed.
/// </para>
/// </remarks>
public abstract partial class NetStackConformance : IDisposable
{
    // Go's aLongTimeAgo.
    private static readonly DateTimeOffset LongAgo = DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(233_431_200);

    private static readonly byte[] One = [1];

    // More than the kernel's buffers of both ends hold, so a write of it waits for the peer.
    private static readonly byte[] Plenty = new byte[16 << 20];

    private readonly List<IDisposable> _owned = [];

    /// <summary>Creates one test.</summary>
    /// <param name="stack">The net stack. You own its poller; dispose it after the test.</param>
    protected NetStackConformance(NetStack stack)
    {
        ArgumentNullException.ThrowIfNull(stack);
        Stack = stack;
    }

    /// <summary>The net stack that was passed to the constructor.</summary>
    protected NetStack Stack { get; }

    /// <summary>
    /// The network of the connections: <c>tcp</c>, or <c>unix</c>, whose connections have the same semantics but for what their resets and
    /// <see cref="Conn.CloseRead"/> tell the peer.
    /// </summary>
    protected virtual string Network => "tcp";

    /// <summary>How many sequences to check if the environment does not say. The default takes about a second.</summary>
    protected virtual int Sequences => 60;

    /// <summary>
    /// After any sequence of operations, blocking or async, each byte has arrived once and in order, and each operation has ended as it
    /// must. See <see cref="NetStackCheck"/>.
    /// </summary>
    [Fact]
    public void Any_sequence_of_operations_follows_the_model()
    {
        int seed = Setting.FromEnvironment("POLLER_SEED") ?? Random.Shared.Next();
        int sequences = Setting.FromEnvironment("POLLER_CONFORMANCE_SEQUENCES") ?? Sequences;

        NetStackRun run = NetStackCheck.Run(Stack, seed, sequences, Worker.Bound, Network);

        Assert.True(run.Failure is null, run.Failure?.Report);
        Assert.Equal(sequences, run.Sequences);
    }

    /// <summary>Disposes the test's connections.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the test's connections. An override disposes more, such as the poller, after it has called this.</summary>
    /// <param name="disposing">Always true, because there is no finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;
        foreach (IDisposable resource in _owned) resource.Dispose();
    }

    private static DateTimeOffset FromNow(double milliseconds) => DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(milliseconds);

    private T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private (Conn Client, Conn Server) Pair()
    {
        (Conn client, Conn server) = Stack.Pair(Network, Worker.Bound);
        return (Own(client), Own(server));
    }

    private ConnListener Listen() => Own(Stack.Listen(Network, NetOperation.AnyAddress(Network)));

    private Conn Dial(ConnListener listener) => Stack.Dial(Network, listener.LocalEndPoint.ToString()!);

    // Closes an end so that its peer finds a reset. A Unix socket does not linger. It resets the connection if it is closed with bytes that
    // nobody has read.
    private void Reset(Conn conn, Conn peer)
    {
        if (Network == "unix") peer.Write(One);
        else conn.LingerState = new LingerOption(true, 0);
        conn.Dispose();
    }

    /// <summary>The twin of testRoundtrip: with an echo at the other end, and no deadline, the bytes that are sent come back.</summary>
    private static void AssertRoundTrip(Conn conn, bool blocking)
    {
        conn.SetDeadline(null);
        byte[] sent = Bytes(1000), back = new byte[sent.Length];
        conn.StartWrite(blocking, sent).Result();
        NetOperation.Run(blocking, () => conn.ReadExactlyAsync(blocking, back).AsTask()).Result();
        Assert.True(back.AsSpan().SequenceEqual(sent), "what came back from the echo is not what was sent");
    }

    private static void AssertNotEarly(long start, TimeSpan span)
    {
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        bool early = elapsed < span - TimeSpan.FromTicks(1);
        Assert.False(early, $"a deadline {span.TotalMilliseconds} ms ahead ended a call after {elapsed.TotalMilliseconds} ms");
    }

    private static byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        Random.Shared.NextBytes(bytes);
        return bytes;
    }

    /// <summary>A peer whose listener is full, so a dial to it waits: see <see cref="FullListener"/>.</summary>
    private FullListener ListenWithoutRoom() => Own(new FullListener(Network));
}
