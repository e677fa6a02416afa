using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// UDP_SEGMENT and UDP_GRO of udp(7): the system splits a sent buffer into datagrams late, in the device or right above it, and joins
// datagrams of one sender early. A buffer goes through the stack once, and not once for each datagram.

internal partial class PacketFd
{
    private const string SendSegmentsName = "send segments";

    // What one number takes as control data, on any system.
    private const int SegmentSizeRoom = 32;

    // Atomic.
    private bool _receivesSegments;

    // Guarded by the write lock: whether the system has said that it can split a buffer.
    private bool _canSplit;

    /// <summary>Whether the system may join several datagrams of one sender to one message.</summary>
    public bool ReceivesSegments
    {
        get => Volatile.Read(ref _receivesSegments);
        set
        {
            const string Name = "set ReceivesSegments";
            using Reference held = Hold(Name);
            if (value) Volatile.Write(ref _receivesSegments, true); // Before the first joined message.
            Span<byte> one = stackalloc byte[sizeof(int)];
            MemoryMarshal.Write(one, value ? 1 : 0);
            IoResult result = Errno.EOPNOTSUPP;
            if (Api.UdpOffload is { } offload) result = Api.SetRawOption(Fd, offload.Level, offload.Gro, one);
            Volatile.Write(ref _receivesSegments, value && result.IsSuccess);
            if (result.IsSuccess) return;
            Errno error = result == Errno.ENOPROTOOPT ? Errno.EOPNOTSUPP : result.Errno;
            throw Refused(Name, error, "joining datagrams, UDP_GRO, needs Linux 5.0");
        }
    }

    public ValueTask SendSegmentsAsync(ReadOnlyMemory<byte> buffer, int segmentSize, SocketAddress? address, CancellationToken token)
    {
        CheckSize(segmentSize);
        SendAttempt attempt = new(SendSegmentsName, buffer, default, address, segmentSize);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="SendSegmentsAsync"/>.</summary>
    public void SendSegments(ReadOnlySpan<byte> buffer, int segmentSize, SocketAddress? address)
    {
        CheckSize(segmentSize);
        Send(SendSegmentsName, buffer, default, address, segmentSize);
    }

    private static void CheckSize(int segmentSize)
    {
        if (segmentSize is > 0 and <= ushort.MaxValue) return;
        throw new ArgumentOutOfRangeException(nameof(segmentSize), segmentSize, "a size from 1 to 65535 bytes was expected.");
    }

    // A system that does not know the control data may ignore it, and send one huge datagram. So ask first.
    private void CheckSplits()
    {
        if (_canSplit) return;
        Span<byte> size = stackalloc byte[sizeof(int)];
        IoResult result = Errno.EOPNOTSUPP;
        if (Api.UdpOffload is { } offload) result = Api.GetRawOption(Fd, offload.Level, offload.Segment, size);
        if (!result.IsSuccess)
        {
            throw Refused(SendSegmentsName, Errno.EOPNOTSUPP, "splitting a buffer into datagrams, UDP_SEGMENT, needs Linux 4.18");
        }
        _canSplit = true;
    }

    private ReadOnlySpan<byte> SegmentControl(int segmentSize, Span<byte> room)
    {
        CheckSplits();
        UdpOffload offload = Api.UdpOffload!.Value;
        Span<byte> size = stackalloc byte[sizeof(ushort)];
        MemoryMarshal.Write(size, (ushort)segmentSize);
        ControlWriter writer = new(Api.ControlLayout, room);
        writer.Write(offload.Level, offload.Segment, size);
        return room[..writer.Length];
    }

    private int SegmentSizeIn(ReadOnlySpan<byte> control)
    {
        UdpOffload offload = Api.UdpOffload!.Value;
        ControlReader reader = new(Api.ControlLayout, control);
        while (reader.TryRead(out ControlItem item))
        {
            if (item.Level == offload.Level && item.Type == offload.Gro && item.Data.Length >= sizeof(int))
            {
                return MemoryMarshal.Read<int>(item.Data);
            }
        }
        return 0;
    }

    protected override string HintForLength(int length)
    {
        int most = _family == AddressFamily.InterNetwork ? 65_507 : 65_527;
        if (_network.IsUnix || _network.IsRaw) return $"one packet of {length} bytes is too long";
        return length > most ? $"{length} bytes do not fit into one datagram; at most {most} were expected"
            : $"one datagram of {length} bytes is too long for its route";
    }

    private static string HintForSegments(int length, int segmentSize) =>
        $"{length} bytes in segments of {segmentSize}: at most 65507 bytes in all, 64 segments, and segments that the route takes unsplit "
        + "were expected";
}
