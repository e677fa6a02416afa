using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

/// <summary>
/// The poller over the kqueue that this machine has, a kernel's or a library's, else over the emulated one. Nothing here is of one system.
/// </summary>
public sealed class PortableTests : IDisposable
{
    private const long Blocking = -1;
    private const long Second = 1_000_000_000;

    private readonly INetpoll _poller;
    private readonly List<Socket> _sockets = [];

    public PortableTests()
    {
        KqueueNetpollFactory system = new();
        _poller = system.IsSupported(out _) ? system.Create() : new EmulatedKqueueFactory().Create();
        _poller.Init();
    }

    [Fact]
    public void Break_ends_a_poll_and_is_left_by_one_that_does_not_block()
    {
        for (int round = 0; round < 3; round++)
        {
            _poller.Break();
            _poller.Break();
            Assert.Empty(Poll(0));
            Assert.Empty(Poll(0));
            Assert.Empty(Poll(Blocking));
            Assert.Empty(Poll(1_000_000));
        }
    }

    [Fact]
    public async Task Break_ends_a_poll_that_blocks()
    {
        for (int round = 0; round < 20; round++)
        {
            Task poll = Task.Run(() => Assert.Empty(Poll(Blocking)));
            _poller.Break();
            await poll.WaitAsync(TimeSpan.FromMinutes(1));
        }
    }

    [Fact]
    public void Bytes_are_an_edge_of_the_read_side()
    {
        (Socket near, Socket far) = OpenPair(1);
        for (int round = 0; round < 3; round++)
        {
            far.Send([1]);
            AwaitReadiness(1, Readable);
            Assert.Equal(1, near.Receive(new byte[8]));
        }
    }

    [Fact]
    public void Room_is_an_edge_of_the_write_side()
    {
        (Socket near, Socket far) = OpenPair(1);
        near.Blocking = false;
        byte[] chunk = new byte[64 * 1024];
        int sent = 0, received = 0;
        SocketError error;
        do sent += near.Send(chunk, 0, chunk.Length, SocketFlags.None, out error);
        while (error == SocketError.Success);
        Poll(0);

        while (received < sent) received += far.Receive(chunk);

        AwaitReadiness(1, Writable);
    }

    [Fact]
    public void An_end_is_a_hang_up_for_both_directions()
    {
        (Socket near, Socket far) = OpenPair(1);

        far.Shutdown(SocketShutdown.Send);

        AwaitReadiness(1, Readable | Writable | ReadHangup);
        Assert.Equal(0, near.Receive(new byte[1]));
    }

    [Fact]
    public void A_second_Open_and_an_unknown_Close_are_refused()
    {
        (Socket near, Socket far) = OpenPair(1);

        Assert.Equal(Errno.EEXIST, _poller.Open(near.Handle, new PollToken(2)));
        Assert.Equal(Errno.ENOENT, _poller.Close(far.Handle));
        far.Send([1]);
        AwaitReadiness(1, Readable);
        Assert.Equal(Errno.None, _poller.Close(near.Handle));
        Assert.Equal(Errno.ENOENT, _poller.Close(near.Handle));
        Assert.Equal(Errno.EBADF, _poller.Open(int.MaxValue, new PollToken(3)));
    }

    [Fact]
    public void A_file_is_refused()
    {
        using FileStream file = File.OpenRead(typeof(PortableTests).Assembly.Location);

        Assert.Equal(Errno.EPERM, _poller.Open(file.SafeFileHandle.DangerousGetHandle(), new PollToken(1)));
    }

    [Fact]
    public void A_number_that_is_used_again_reports_under_its_new_token()
    {
        for (ulong token = 1; token <= 50; token++)
        {
            (Socket near, Socket far) = OpenPair(token);
            far.Send([1]);
            AwaitReadiness(token, Readable);
            Assert.Equal(Errno.None, _poller.Close(near.Handle));
            near.Dispose();
            far.Dispose();
        }
    }

    [Fact]
    public void A_poll_with_a_time_out_is_not_over_early()
    {
        const long Delay = 30_000_000;
        long start = Stopwatch.GetTimestamp();

        Assert.Empty(Poll(Delay));

        // A signal may end it with nothing, and the runtime sends some: what is left is waited for again, as a loop would.
        while (Stopwatch.GetElapsedTime(start).TotalNanoseconds is var taken && taken < Delay) Assert.Empty(Poll(Delay - (long)taken));
        Assert.Empty(Poll(0));
    }

    [Fact]
    public void A_list_of_one_loses_no_edge()
    {
        const int Count = 50;
        List<Socket> far = [];
        for (ulong token = 1; token <= Count; token++) far.Add(OpenPair(token).Far);
        foreach (Socket socket in far) socket.Send([1]);

        HashSet<ulong> seen = [];
        long start = Stopwatch.GetTimestamp();
        while (seen.Count < Count)
        {
            PollEvent[] found = Poll(10 * Second, room: 1);
            if (IsInterrupted(found, start)) continue;
            Assert.NotEmpty(found);
            if (found[0].Readiness.HasFlag(Readable)) seen.Add(found[0].Token.Value);
        }
    }

    public void Dispose()
    {
        _poller.Dispose();
        foreach (Socket socket in _sockets) socket.Dispose();
    }

    private PollEvent[] Poll(long delay, int room = 16)
    {
        PollEvent[] events = new PollEvent[room];
        return events[.._poller.Poll(events, delay)];
    }

    // A signal ends a poll with nothing, and the runtime sends some.
    private static bool IsInterrupted(PollEvent[] found, long start) =>
        found.Length == 0 && Stopwatch.GetElapsedTime(start).TotalNanoseconds < 10 * Second;

    private void AwaitReadiness(ulong token, PollReadiness expected)
    {
        PollReadiness seen = None;
        long start = Stopwatch.GetTimestamp();
        while ((seen & expected) != expected)
        {
            PollEvent[] found = Poll(10 * Second);
            if (IsInterrupted(found, start)) continue;
            Assert.True(found.Length > 0, $"{expected} of {token} was expected; {seen} came");
            foreach (PollEvent one in found.Where(e => e.Token.Value == token)) seen |= one.Readiness;
        }
    }

    /// <summary>A connection over the loopback, its near end in the poller, the room it starts with reported.</summary>
    private (Socket Near, Socket Far) OpenPair(ulong token)
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Socket near = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(near);
        near.Connect(listener.LocalEndPoint!);
        Socket far = listener.Accept();
        _sockets.Add(far);
        Assert.Equal(Errno.None, _poller.Open(near.Handle, new PollToken(token)));
        AwaitReadiness(token, Writable);
        return (near, far);
    }
}
