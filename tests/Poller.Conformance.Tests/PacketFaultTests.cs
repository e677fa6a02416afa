using System.Reflection;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;

namespace Poller.Conformance.Tests;

/// <summary>That the net kit's facts about packets can fail: each fault under a right net layer makes one.</summary>
public sealed class PacketFaultTests
{
    private static readonly Dictionary<string, Func<FaultySockets>> Sockets = new()
    {
        [nameof(SendsAByteForNone)] = () => new SendsAByteForNone(),
        [nameof(HidesTheCut)] = () => new HidesTheCut(),
        [nameof(ForgetsTheSender)] = () => new ForgetsTheSender(),
        [nameof(RefusesForEver)] = () => new RefusesForEver(),
        [nameof(GivesAPacketTwice)] = () => new GivesAPacketTwice(),
    };

    /// <summary>Both forms of the calls.</summary>
    [Theory]
    [InlineData(nameof(SendsAByteForNone), nameof(NetStackConformance.Packets_keep_their_borders_and_an_empty_one_is_a_packet))]
    [InlineData(nameof(HidesTheCut), nameof(NetStackConformance.A_packet_that_is_too_long_is_cut_and_a_message_says_so))]
    [InlineData(nameof(ForgetsTheSender), nameof(NetStackConformance.Packets_keep_their_borders_and_an_empty_one_is_a_packet))]
    [InlineData(nameof(RefusesForEver), nameof(NetStackConformance.A_peer_that_is_gone_refuses_and_the_socket_stays_usable))]
    [InlineData(nameof(GivesAPacketTwice), nameof(NetStackConformance.Concurrent_receives_take_each_packet_once))]
    public void A_fault_of_the_sockets_fails_a_fact_about_packets(string fault, string fact)
    {
        MethodInfo method = typeof(NetStackConformance).GetMethod(fact)!;
        foreach (bool blocking in (bool[])[false, true])
        {
            using Netpoller poller = new(new EpollNetpollFactory());
            using (Facts right = new(new NetStack(poller))) method.Invoke(right, [blocking]);
            using Facts facts = new(new NetStack(poller, Sockets[fault]()));
            TargetInvocationException failure = Assert.Throws<TargetInvocationException>(() => method.Invoke(facts, [blocking]));
            Assert.IsNotType<TimeoutException>(failure.InnerException);
        }
    }

    private sealed class Facts(NetStack stack) : NetStackConformance(stack);

    private sealed class SendsAByteForNone : FaultySockets
    {
        public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer) =>
            buffer.IsEmpty ? base.Send(fd, [0]) is { IsSuccess: true } ? 0 : Errno.EAGAIN : base.Send(fd, buffer);
    }

    private sealed class HidesTheCut : FaultySockets
    {
        public override IoResult ReceiveMessage(
            nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info)
        {
            IoResult result = base.ReceiveMessage(fd, buffer, address, control, out info);
            info.IsTruncated = false;
            return result;
        }
    }

    private sealed class ForgetsTheSender : FaultySockets
    {
        public override IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength)
        {
            IoResult result = base.ReceiveFrom(fd, buffer, address, out addressLength);
            if (result.IsSuccess) address[2..4].Clear(); // The port.
            return result;
        }
    }

    private sealed class RefusesForEver : FaultySockets
    {
        private volatile bool _refuses;

        public override IoResult Receive(nint fd, Span<byte> buffer)
        {
            if (_refuses) return Errno.ECONNREFUSED;
            IoResult result = base.Receive(fd, buffer);
            _refuses = result == Errno.ECONNREFUSED;
            return result;
        }
    }

    private sealed class GivesAPacketTwice : FaultySockets
    {
        private byte[] _last = [];

        public override IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength)
        {
            IoResult result = base.ReceiveFrom(fd, buffer, address, out addressLength);
            if (!result.IsSuccess) return result;
            byte[] last = Interlocked.Exchange(ref _last, buffer[..result.Value].ToArray());
            if (last.Length == result.Value && IsTheOne()) last.CopyTo(buffer);
            return result;
        }
    }
}
