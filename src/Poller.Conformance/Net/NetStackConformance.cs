using System.Diagnostics;
using System.Net;
using Poller.Net;

namespace Poller.Conformance;

// What holds of every net stack, whatever backend and dispatch it stands on, one file to a theme. The facts are those of Go's nettest
// (golang.org/x/net/nettest/conntest.go) and of its net package (net/timeout_test.go, net_test.go, tcpsock_test.go); the property is
// NetStackCheck.

/// <summary>
/// The facts every <see cref="NetStack"/> is held to, and the connection model: inherit it in a test project, supply the stack, and run the
/// tests.
/// </summary>
/// <remarks>
/// <para>
/// A stack over a backend of your own is tested so, in a project that refers to Poller.Conformance, xunit, xunit.runner.visualstudio and
/// Microsoft.NET.Test.Sdk; one class a dispatch:
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
/// Every fact runs over TCP on the loopback, with the async calls and with the blocking ones. The stack's poller counts by the system's
/// clock.
/// </para>
/// <para>
/// The environment: <c>POLLER_CONFORMANCE_SEQUENCES</c> is how many sequences of commands are held against the model, instead of
/// <see cref="Sequences"/>; <c>POLLER_SEED</c> is the first one's seed, to replay a failure whose report names it.
/// </para>
/// </remarks>
public abstract partial class NetStackConformance : IDisposable
{
    // Go's aLongTimeAgo.
    private static readonly DateTimeOffset LongAgo = DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(233_431_200);

    private static readonly byte[] One = [1];

    // More than the kernel's buffers of both ends hold: a write of it waits for the peer.
    private static readonly byte[] Plenty = new byte[16 << 20];

    private readonly List<IDisposable> _owned = [];

    /// <summary>Makes one test.</summary>
    /// <param name="stack">The net stack. Its poller is the caller's, to be disposed after the test.</param>
    protected NetStackConformance(NetStack stack)
    {
        ArgumentNullException.ThrowIfNull(stack);
        Stack = stack;
    }

    /// <summary>The net stack, as it was given.</summary>
    protected NetStack Stack { get; }

    /// <summary>How many sequences the model is tried with where the environment does not say: a second's worth.</summary>
    protected virtual int Sequences => 60;

    /// <summary>
    /// After any sequence of operations, in either form, each byte has arrived once and in order, and each operation came to what it must.
    /// See <see cref="NetStackCheck"/>.
    /// </summary>
    [Fact]
    public void Any_sequence_of_operations_follows_the_model()
    {
        int seed = Setting.FromEnvironment("POLLER_SEED") ?? Random.Shared.Next();
        int sequences = Setting.FromEnvironment("POLLER_CONFORMANCE_SEQUENCES") ?? Sequences;

        NetStackRun run = NetStackCheck.Run(Stack, seed, sequences);

        Assert.True(run.Failure is null, run.Failure?.Report);
        Assert.Equal(sequences, run.Sequences);
    }

    /// <summary>Disposes the test's connections.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the test's connections; a class with more to dispose, as the poller, does that after it.</summary>
    /// <param name="disposing">True: there is no finalizer.</param>
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

    private (TcpConn Client, TcpConn Server) Pair()
    {
        (TcpConn client, TcpConn server) = Stack.Pair(Worker.Bound);
        return (Own(client), Own(server));
    }

    private TcpConnListener Listen() => Own(Stack.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0)));

    /// <summary>The twin of testRoundtrip: with an echo at the other end, and no deadline, what is sent comes back.</summary>
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

    /// <summary>A peer that the system connects with, and lets wait: see <see cref="FullListener"/>.</summary>
    private FullListener ListenWithoutRoom() => Own(new FullListener());
}
