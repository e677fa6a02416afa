using System.Net.NetworkInformation;
using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>
/// What Linux knows of a TCP connection at one moment: struct tcp_info of linux/tcp.h. A value that this kernel does not give is null.
/// </summary>
/// <remarks>Packets are the kernel's own segments, and sizes are in bytes.</remarks>
public sealed record TcpInfo
{
    // A newer kernel has more, which it leaves out if the buffer has no room.
    internal const int Size = 232;

    // Before the first sample the least of all round trips is this.
    private const uint NoSample = uint.MaxValue;

    internal TcpInfo(ReadOnlySpan<byte> info)
    {
        State = StateOf(At<byte>(info, 0) ?? 0);
        UnansweredRetransmits = At<byte>(info, 2) ?? 0;
        RetransmitTimeout = Time(At<uint>(info, 8) ?? 0);
        SendSegmentSize = At<uint>(info, 16) ?? 0;
        ReceiveSegmentSize = At<uint>(info, 20) ?? 0;
        UnacknowledgedPackets = At<uint>(info, 24) ?? 0;
        LostPackets = At<uint>(info, 32) ?? 0;
        RetransmittedPackets = At<uint>(info, 36) ?? 0;
        PathMtu = At<uint>(info, 60) ?? 0;
        RoundTripTime = Time(At<uint>(info, 68) ?? 0);
        RoundTripTimeVariation = Time(At<uint>(info, 72) ?? 0);
        SlowStartThreshold = At<uint>(info, 76) ?? 0;
        CongestionWindow = At<uint>(info, 80) ?? 0;
        TotalRetransmits = At<uint>(info, 100) ?? 0;
        PacingRate = At<long>(info, 104);
        BytesAcknowledged = At<long>(info, 120);
        BytesReceived = At<long>(info, 128);
        UnsentBytes = At<uint>(info, 144);
        MinRoundTripTime = At<uint>(info, 148) is { } least and not NoSample ? Time(least) : null;
        DeliveryRate = At<long>(info, 160);
        BytesSent = At<long>(info, 200);
        BytesRetransmitted = At<long>(info, 208);
        SendWindow = At<uint>(info, 228);
    }

    /// <summary>The state of the connection (tcpi_state).</summary>
    public TcpState State { get; }

    /// <summary>How often the oldest packet that is not acknowledged was sent again (tcpi_retransmits).</summary>
    public int UnansweredRetransmits { get; }

    /// <summary>After which time a packet without an answer is sent again (tcpi_rto).</summary>
    public TimeSpan RetransmitTimeout { get; }

    /// <summary>The largest segment to send (tcpi_snd_mss).</summary>
    public long SendSegmentSize { get; }

    /// <summary>The largest segment to receive (tcpi_rcv_mss).</summary>
    public long ReceiveSegmentSize { get; }

    /// <summary>How many packets are sent and not acknowledged (tcpi_unacked).</summary>
    public long UnacknowledgedPackets { get; }

    /// <summary>How many of them the kernel takes for lost (tcpi_lost).</summary>
    public long LostPackets { get; }

    /// <summary>How many of them were sent again (tcpi_retrans).</summary>
    public long RetransmittedPackets { get; }

    /// <summary>The largest packet on the way to the peer (tcpi_pmtu).</summary>
    public long PathMtu { get; }

    /// <summary>The smoothed time of a round trip (tcpi_rtt).</summary>
    public TimeSpan RoundTripTime { get; }

    /// <summary>How much that time varies (tcpi_rttvar).</summary>
    public TimeSpan RoundTripTimeVariation { get; }

    /// <summary>The size of the congestion window, in packets, at which slow start ends (tcpi_snd_ssthresh).</summary>
    public long SlowStartThreshold { get; }

    /// <summary>How many packets may be on the way (tcpi_snd_cwnd).</summary>
    public long CongestionWindow { get; }

    /// <summary>How many packets were sent again since the connection began (tcpi_total_retrans).</summary>
    public long TotalRetransmits { get; }

    /// <summary>The rate at which packets are sent, in bytes a second (tcpi_pacing_rate); -1 if there is no limit.</summary>
    public long? PacingRate { get; }

    /// <summary>How many bytes the peer has acknowledged (tcpi_bytes_acked).</summary>
    public long? BytesAcknowledged { get; }

    /// <summary>How many bytes have arrived (tcpi_bytes_received).</summary>
    public long? BytesReceived { get; }

    /// <summary>How many bytes were written and not sent yet (tcpi_notsent_bytes).</summary>
    public long? UnsentBytes { get; }

    /// <summary>The shortest round trip of the last minutes (tcpi_min_rtt); null also before the first one.</summary>
    public TimeSpan? MinRoundTripTime { get; }

    /// <summary>The rate at which bytes arrived at the peer lately, in bytes a second (tcpi_delivery_rate).</summary>
    public long? DeliveryRate { get; }

    /// <summary>How many bytes were sent, with those that were sent again (tcpi_bytes_sent).</summary>
    public long? BytesSent { get; }

    /// <summary>How many bytes were sent again (tcpi_bytes_retrans).</summary>
    public long? BytesRetransmitted { get; }

    /// <summary>How many bytes the peer takes now (tcpi_snd_wnd).</summary>
    public long? SendWindow { get; }

    private static T? At<T>(ReadOnlySpan<byte> info, int offset) where T : unmanaged
    {
        ReadOnlySpan<byte> rest = offset < info.Length ? info[offset..] : default;
        return MemoryMarshal.TryRead(rest, out T value) ? value : null;
    }

    private static TimeSpan Time(uint microseconds) => TimeSpan.FromMicroseconds((long)microseconds);

    // include/net/tcp_states.h.
    private static TcpState StateOf(byte state) => state switch
    {
        1 => TcpState.Established,
        2 => TcpState.SynSent,
        3 => TcpState.SynReceived,
        4 => TcpState.FinWait1,
        5 => TcpState.FinWait2,
        6 => TcpState.TimeWait,
        7 => TcpState.Closed,
        8 => TcpState.CloseWait,
        9 => TcpState.LastAck,
        10 => TcpState.Listen,
        11 => TcpState.Closing,
        _ => TcpState.Unknown,
    };
}
