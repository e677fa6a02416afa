using System.Collections.Concurrent;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// The system's socket calls, counted, some of them told what to answer: the errors that no test can bring about at will.
/// </summary>
internal sealed class FaultySocketApi : ForwardingSocketApi
{
    private readonly ConcurrentDictionary<nint, bool> _selfConnected = new();
    private volatile int _everyAccept;

    /// <summary>What the next accepts answer instead of accepting.</summary>
    public ConcurrentQueue<IoResult> Accepts { get; } = new();

    /// <summary>What every accept answers, unless none.</summary>
    public Errno EveryAccept { get => new(_everyAccept); set => _everyAccept = value.Number; }

    /// <summary>Runs before each accept, in it.</summary>
    public Action? Accepting { get; set; }

    /// <summary>Runs after a connection was accepted, in the accept.</summary>
    public Action? Accepted { get; set; }

    /// <summary>How many accepts were answered by the first two.</summary>
    public int FaultyAccepts;

    /// <summary>What the next receives and peeks answer.</summary>
    public ConcurrentQueue<IoResult> Receives { get; } = new();

    /// <summary>How many receives there were; peeks are none.</summary>
    public int ReceiveCount;

    /// <summary>Runs before each receive and each send, in it.</summary>
    public Action? Transferring { get; init; }

    /// <summary>What the next sends answer.</summary>
    public ConcurrentQueue<IoResult> Sends { get; } = new();

    /// <summary>What the next connects answer, after they were made.</summary>
    public ConcurrentQueue<IoResult> Connects { get; } = new();

    /// <summary>How many of the next connects meet themselves: both ends have the peer's name then.</summary>
    public int SelfConnects;

    /// <summary>How many connects there were.</summary>
    public int ConnectCount;

    /// <summary>How many descriptors were closed.</summary>
    public int CloseCount;

    /// <summary>How many descriptors of its own are open.</summary>
    public int OpenCount;

    /// <summary>The backlogs of the listens.</summary>
    public ConcurrentQueue<int> Backlogs { get; } = new();

    /// <summary>Runs before a descriptor is closed, in the close.</summary>
    public Action<nint>? Closing { get; set; }

    /// <summary>What the next sockets answer.</summary>
    public ConcurrentQueue<IoResult> Sockets { get; } = new();

    /// <summary>What the next binds answer.</summary>
    public ConcurrentQueue<IoResult> Binds { get; } = new();

    /// <summary>Whether the host has IPv6 alone.</summary>
    public bool NoIPv4 { get; init; }

    /// <summary>What the next questions for a descriptor's own name answer.</summary>
    public ConcurrentQueue<IoResult> LocalNames { get; } = new();

    /// <summary>Whether somebody else reads each pending error first.</summary>
    public volatile bool ErrorsAreTaken;

    /// <summary>The most that one send takes.</summary>
    public int MaxSend { get; set; } = int.MaxValue;

    public override IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol) =>
        Sockets.TryDequeue(out IoResult fault) ? fault
        : NoIPv4 && family == AddressFamily.InterNetwork ? Errno.EAFNOSUPPORT
        : Opened(base.Socket(family, type, protocol));

    public override IoResult Accept(nint fd, Span<byte> address, out int addressLength)
    {
        if (!Accepts.TryDequeue(out IoResult fault)) fault = EveryAccept;
        if (fault == 0)
        {
            Accepting?.Invoke();
            IoResult result = base.Accept(fd, address, out addressLength);
            if (result.IsSuccess) Accepted?.Invoke();
            return Opened(result);
        }
        Interlocked.Increment(ref FaultyAccepts);
        addressLength = 0;
        return fault;
    }

    public override IoResult Connect(nint fd, ReadOnlySpan<byte> address)
    {
        Interlocked.Increment(ref ConnectCount);
        if (Volatile.Read(ref SelfConnects) > 0 && Interlocked.Decrement(ref SelfConnects) >= 0) _selfConnected[fd] = true;
        IoResult result = base.Connect(fd, address);
        return Connects.TryDequeue(out IoResult fault) ? fault : result;
    }

    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        Transferring?.Invoke();
        Interlocked.Increment(ref ReceiveCount);
        return Receives.TryDequeue(out IoResult fault) ? fault : base.Receive(fd, buffer);
    }

    public override IoResult Peek(nint fd, Span<byte> buffer) => Receives.TryDequeue(out IoResult fault) ? fault : base.Peek(fd, buffer);

    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        Transferring?.Invoke();
        return Sends.TryDequeue(out IoResult fault) ? fault : base.Send(fd, buffer[..Math.Min(buffer.Length, MaxSend)]);
    }

    /// <summary>Runs after an option was set, in the call.</summary>
    public Action<SocketOptionName>? OptionSet { get; set; }

    public override IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value)
    {
        IoResult result = base.SetOption(fd, level, name, value);
        OptionSet?.Invoke(name);
        return result;
    }

    /// <summary>Whether the system does not tell what is unacknowledged.</summary>
    public bool TellsNoUnsent { get; set; }

    public override IoResult Unsent(nint fd) => TellsNoUnsent ? Errno.EOPNOTSUPP : base.Unsent(fd);

    public override IoResult TakeError(nint fd)
    {
        IoResult error = base.TakeError(fd);
        return ErrorsAreTaken ? 0 : error;
    }

    public override IoResult LocalName(nint fd, Span<byte> address, out int addressLength)
    {
        addressLength = 0;
        return LocalNames.TryDequeue(out IoResult fault) ? fault
            : _selfConnected.ContainsKey(fd) ? base.PeerName(fd, address, out addressLength)
            : base.LocalName(fd, address, out addressLength);
    }

    public override IoResult Bind(nint fd, ReadOnlySpan<byte> address) =>
        Binds.TryDequeue(out IoResult fault) ? fault : base.Bind(fd, address);

    public override IoResult Listen(nint fd, int backlog)
    {
        Backlogs.Enqueue(backlog);
        return base.Listen(fd, backlog);
    }

    public override IoResult Close(nint fd)
    {
        Interlocked.Increment(ref CloseCount);
        Closing?.Invoke(fd);
        _selfConnected.TryRemove(fd, out _); // The number may belong to another socket after the close.
        IoResult result = base.Close(fd);
        Interlocked.Decrement(ref OpenCount);
        return result;
    }

    private IoResult Opened(IoResult fd)
    {
        if (fd.IsSuccess) Interlocked.Increment(ref OpenCount);
        return fd;
    }
}
