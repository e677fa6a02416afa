using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net.Tests;

/// <summary>A directory of a test's own for the paths of Unix sockets.</summary>
internal sealed class SocketDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("pk");
    private int _count;

    public string FullName => _directory.FullName;

    public string[] Files => [.. _directory.EnumerateFileSystemInfos().Select(static file => file.Name)];

    /// <summary>A path at which there is nothing yet.</summary>
    public string NewPath() => Path.Combine(_directory.FullName, $"s{Interlocked.Increment(ref _count)}");

    /// <inheritdoc cref="NewPath"/>
    public UnixDomainSocketEndPoint NewEndPoint() => new(NewPath());

    public void Dispose() => _directory.Delete(recursive: true);
}

/// <summary>What the tests of Unix sockets share.</summary>
internal static class Unix
{
    public static TheoryData<NetpollDispatch, bool, string> AllWithConnections => Combined("unix", "unixpacket");

    public static TheoryData<NetpollDispatch, bool, string> AllWithMessages => Combined("unixgram", "unixpacket");

    /// <summary>Two ends of one connection.</summary>
    public static async Task<(UnixConn Client, UnixConn Server)> UnixPairAsync(this Fixture fixture, string network = "unix")
    {
        using ConnListener listener = fixture.Net.Listen(network, "");
        ValueTask<Conn> accepting = listener.AcceptAsync();
        UnixConn client = (UnixConn)await fixture.Net.DialAsync(network, listener.LocalEndPoint.ToString()!).Within();
        return (client, (UnixConn)await accepting.Within());
    }

    public static Operation<UnixConn> StartDialUnix(
        this NetStack net, bool blocking, UnixDomainSocketEndPoint remote, TimeSpan? timeout = null)
    {
        Dialer dialer = new(net) { Timeout = timeout ?? Timeout.InfiniteTimeSpan };
        return blocking ? new(() => dialer.DialUnix(remote)) : new(dialer.DialUnixAsync(remote).AsTask());
    }

    /// <summary>Two ends of a connection of messages, or a socket of datagrams and one that has it as its peer.</summary>
    public static async Task<(UnixConn Client, UnixConn Server)> MessagePairAsync(this Fixture fixture, string network)
    {
        if (network != "unixgram") return await fixture.UnixPairAsync(network);
        UnixConn server = fixture.Net.ListenUnixgram(new UnixDomainSocketEndPoint("\0"));
        return ((UnixConn)await fixture.Net.DialAsync(network, server.LocalEndPoint.ToString()).Within(), server);
    }

    /// <summary>Sends to a receiver of datagrams until it has no room.</summary>
    public static async Task FillAsync(this UnixConn conn, UnixConn receiver)
    {
        using CancellationTokenSource cancel = new();
        Task sending;
        do sending = conn.SendToAsync(new byte[1], receiver.LocalEndPoint, cancel.Token).AsTask();
        while (sending.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(sending.Within);
    }

    public static Operation<bool> StartSendTo(this UnixConn conn, bool blocking, ReadOnlyMemory<byte> buffer, EndPoint remote) =>
        Start(blocking, () => conn.SendTo(buffer.Span, remote), () => conn.SendToAsync(buffer, remote));

    public static Operation<bool> StartSendMessage(
        this UnixConn conn, bool blocking, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress? address) => Start(
            blocking,
            () => conn.SendMessage(buffer.Span, control.Span, address),
            () => conn.SendMessageAsync(buffer, control, address));

    public static Operation<ReceivedMessage> StartReceiveMessage(
        this UnixConn conn, bool blocking, Memory<byte> buffer, Memory<byte> control, SocketAddress? address = null) => blocking
            ? new(() => conn.ReceiveMessage(buffer.Span, control.Span, address))
            : new(conn.ReceiveMessageAsync(buffer, control, address).AsTask());

    public static Operation<bool> StartSend(
        this UnixConn conn, bool blocking, ReadOnlyMemory<byte> buffer, IReadOnlyList<SafeHandle> handles) =>
        Start(blocking, () => conn.Send(buffer.Span, handles), () => conn.SendAsync(buffer, handles));

    public static Operation<ReceivedHandles> StartReceive(
        this UnixConn conn, bool blocking, Memory<byte> buffer, SafeHandle?[] handles)
    {
        return blocking ? new(() => conn.Receive(buffer.Span, handles)) : new(ReceiveAsync());

        async Task<ReceivedHandles> ReceiveAsync() => await conn.ReceiveAsync(buffer, handles).ConfigureAwait(false);
    }

    // An exception of the call itself is the operation's too.
    private static Operation<bool> Start(bool blocking, Action sync, Func<ValueTask> async)
    {
        return blocking
            ? new(() =>
            {
                sync();
                return true;
            })
            : new(Async());

        async Task<bool> Async()
        {
            await async().ConfigureAwait(false);
            return true;
        }
    }

    private static TheoryData<NetpollDispatch, bool, string> Combined(params string[] networks)
    {
        TheoryData<NetpollDispatch, bool, string> all = [];
        foreach (object[] form in Forms.All)
        {
            foreach (string network in networks) all.Add((NetpollDispatch)form[0], (bool)form[1], network);
        }
        return all;
    }

    /// <summary>The credentials of this process: /proc/self/status has its real and then its effective user and group.</summary>
    public static PeerCredentials OwnCredentials => new(Environment.ProcessId, Effective("Uid:"), Effective("Gid:"));

    private static uint Effective(string name)
    {
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
        return uint.Parse(line.Split('\t')[2], CultureInfo.InvariantCulture);
    }
}
