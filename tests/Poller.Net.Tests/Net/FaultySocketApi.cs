using System.Collections.Concurrent;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>
/// The system's socket calls, counted, some of them told what to answer: the errors that no test can bring about at will.
/// </summary>
internal sealed class FaultySocketApi : ISocketApi
{
    private readonly LinuxSocketApi _inner = LinuxSocketApi.Instance;

    private readonly ConcurrentDictionary<nint, bool> _selfConnected = new();

    /// <summary>What the next accepts answer instead of accepting.</summary>
    public ConcurrentQueue<int> Accepts { get; } = new();

    /// <summary>What every accept answers, unless 0.</summary>
    public volatile int EveryAccept;

    /// <summary>Runs after a connection was accepted, in the accept.</summary>
    public Action? Accepted { get; set; }

    /// <summary>How many accepts were answered by the first two.</summary>
    public int FaultyAccepts;

    /// <summary>What the next receives and peeks answer.</summary>
    public ConcurrentQueue<int> Receives { get; } = new();

    /// <summary>How many receives there were; peeks are none.</summary>
    public int ReceiveCount;

    /// <summary>What the next sends answer.</summary>
    public ConcurrentQueue<int> Sends { get; } = new();

    /// <summary>What the next connects answer, after they were made.</summary>
    public ConcurrentQueue<int> Connects { get; } = new();

    /// <summary>How many of the next connects meet themselves: both ends have the peer's name then.</summary>
    public int SelfConnects;

    /// <summary>How many connects there were.</summary>
    public int ConnectCount;

    /// <summary>How many descriptors were closed.</summary>
    public int CloseCount;

    /// <summary>Runs before a descriptor is closed, in the close.</summary>
    public Action<nint>? Closing { get; set; }

    /// <summary>What the next sockets answer.</summary>
    public ConcurrentQueue<int> Sockets { get; } = new();

    /// <summary>The most that one send takes.</summary>
    public int MaxSend { get; set; } = int.MaxValue;

    public int MaxBacklog => _inner.MaxBacklog;

    public long MaxDescriptors => _inner.MaxDescriptors;

    public int Socket(AddressFamily family, SocketType type, ProtocolType protocol) =>
        Sockets.TryDequeue(out int fault) ? fault : _inner.Socket(family, type, protocol);

    public int Bind(nint fd, ReadOnlySpan<byte> address) => _inner.Bind(fd, address);

    public int Listen(nint fd, int backlog) => _inner.Listen(fd, backlog);

    public int Accept(nint fd, Span<byte> address, out int addressLength)
    {
        if (!Accepts.TryDequeue(out int fault)) fault = EveryAccept;
        if (fault == 0)
        {
            int result = _inner.Accept(fd, address, out addressLength);
            if (result >= 0) Accepted?.Invoke();
            return result;
        }
        Interlocked.Increment(ref FaultyAccepts);
        addressLength = 0;
        return fault;
    }

    public int Connect(nint fd, ReadOnlySpan<byte> address)
    {
        Interlocked.Increment(ref ConnectCount);
        if (Volatile.Read(ref SelfConnects) > 0 && Interlocked.Decrement(ref SelfConnects) >= 0) _selfConnected[fd] = true;
        int result = _inner.Connect(fd, address);
        return Connects.TryDequeue(out int fault) ? fault : result;
    }

    public int Receive(nint fd, Span<byte> buffer)
    {
        Interlocked.Increment(ref ReceiveCount);
        return Receives.TryDequeue(out int fault) ? fault : _inner.Receive(fd, buffer);
    }

    public int Peek(nint fd, Span<byte> buffer) => Receives.TryDequeue(out int fault) ? fault : _inner.Peek(fd, buffer);

    public int Send(nint fd, ReadOnlySpan<byte> buffer) =>
        Sends.TryDequeue(out int fault) ? fault : _inner.Send(fd, buffer[..Math.Min(buffer.Length, MaxSend)]);

    public int Shutdown(nint fd, SocketShutdown how) => _inner.Shutdown(fd, how);

    public int SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value) => _inner.SetOption(fd, level, name, value);

    public int TakeError(nint fd) => _inner.TakeError(fd);

    public int LocalName(nint fd, Span<byte> address, out int addressLength) => _selfConnected.ContainsKey(fd)
        ? _inner.PeerName(fd, address, out addressLength)
        : _inner.LocalName(fd, address, out addressLength);

    public int PeerName(nint fd, Span<byte> address, out int addressLength) => _inner.PeerName(fd, address, out addressLength);

    public int Close(nint fd)
    {
        Interlocked.Increment(ref CloseCount);
        Closing?.Invoke(fd);
        _selfConnected.TryRemove(fd, out _); // Before it is another's number.
        return _inner.Close(fd);
    }
}
