using System.Collections.Concurrent;
using System.Reflection;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;

namespace Poller.Conformance.Tests;

/// <summary>That the net kit's facts about packets can fail: each fault under a right net layer makes one.</summary>
public sealed class PacketFaultTests
{
    // More than enough for each: the rarest shows in one sequence of seven. The kit's 60 would miss that one in 10,000 runs.
    private const int EnoughSequences = 500;

    private static readonly Dictionary<string, Func<FaultySockets>> Sockets = new()
    {
        [nameof(SendsAByteForNone)] = () => new SendsAByteForNone(),
        [nameof(HidesTheCut)] = () => new HidesTheCut(),
        [nameof(ForgetsTheSender)] = () => new ForgetsTheSender(),
        [nameof(RefusesForEver)] = () => new RefusesForEver(),
        [nameof(GivesAPacketTwice)] = () => new GivesAPacketTwice(),
        [nameof(HearsEverybody)] = () => new HearsEverybody(),
        [nameof(FindsAPacketInNone)] = () => new FindsAPacketInNone(),
        [nameof(EmptiesAPacketThatWaited)] = () => new EmptiesAPacketThatWaited(),
        [nameof(JoinsTwoPackets)] = () => new JoinsTwoPackets(),
        [nameof(RepeatsAPacket)] = () => new RepeatsAPacket(),
    };

    /// <summary>Both forms of the calls.</summary>
    [Theory]
    [InlineData(nameof(SendsAByteForNone), nameof(NetStackConformance.Packets_keep_their_borders_and_an_empty_one_is_a_packet))]
    [InlineData(nameof(HidesTheCut), nameof(NetStackConformance.A_packet_that_is_too_long_is_cut_and_a_message_says_so))]
    [InlineData(nameof(ForgetsTheSender), nameof(NetStackConformance.Packets_keep_their_borders_and_an_empty_one_is_a_packet))]
    [InlineData(nameof(RefusesForEver), nameof(NetStackConformance.A_peer_that_is_gone_refuses_and_the_socket_stays_usable))]
    [InlineData(nameof(GivesAPacketTwice), nameof(NetStackConformance.Concurrent_receives_take_each_packet_once))]
    [InlineData(nameof(HearsEverybody), nameof(NetStackConformance.A_socket_with_a_peer_hears_it_alone))]
    [InlineData(nameof(FindsAPacketInNone), nameof(NetStackConformance.A_deadline_ends_a_receive_and_loses_no_packet))]
    [InlineData(nameof(EmptiesAPacketThatWaited), nameof(NetStackConformance.A_deadline_ends_a_receive_and_loses_no_packet))]
    [InlineData(nameof(FindsAPacketInNone), nameof(NetStackConformance.A_close_ends_all_receives))]
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

    /// <summary>Both forms of the calls, over both networks of messages.</summary>
    [Theory]
    [InlineData(nameof(SendsAByteForNone), nameof(UnixStackConformance.Messages_keep_their_borders))]
    [InlineData(nameof(JoinsTwoPackets), nameof(UnixStackConformance.Messages_keep_their_borders))]
    [InlineData(nameof(HidesTheCut), nameof(UnixStackConformance.A_message_that_is_cut_is_told))]
    public void A_fault_of_the_sockets_fails_a_fact_about_messages(string fault, string fact)
    {
        MethodInfo method = typeof(UnixStackConformance).GetMethod(fact)!;
        foreach (bool blocking in (bool[])[false, true])
        {
            foreach (string network in (string[])["unixgram", "unixpacket"])
            {
                using Netpoller poller = new(new EpollNetpollFactory());
                using (UnixFacts right = new(new NetStack(poller))) method.Invoke(right, [network, blocking]);
                using UnixFacts facts = new(new NetStack(poller, Sockets[fault]()));
                TargetInvocationException failure =
                    Assert.Throws<TargetInvocationException>(() => method.Invoke(facts, [network, blocking]));
                Assert.IsNotType<TimeoutException>(failure.InnerException);
            }
        }
    }

    [Theory]
    [InlineData(nameof(SendsAByteForNone))]
    [InlineData(nameof(HidesTheCut))]
    [InlineData(nameof(JoinsTwoPackets))]
    [InlineData(nameof(RepeatsAPacket))]
    public void A_fault_of_the_sockets_breaks_the_model_of_packets(string fault)
    {
        using Netpoller poller = new(new EpollNetpollFactory());
        using Facts facts = new(new NetStack(poller, Sockets[fault]()));
        Exception? caught = Record.Exception(facts.Any_order_of_packets_follows_the_model);
        Assert.Contains("broke the contract of UdpConn", caught?.Message, StringComparison.Ordinal);
        using UnixFacts unix = new(new NetStack(poller, Sockets[fault]()));
        caught = Record.Exception(() => unix.Any_order_of_messages_follows_the_model("unixpacket"));
        Assert.Contains("broke the contract of UnixConn", caught?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_without_its_sender_breaks_the_model_of_packets()
    {
        using Netpoller poller = new(new EpollNetpollFactory());
        using Facts facts = new(new NetStack(poller, new ForgetsTheSender()));
        Exception? caught = Record.Exception(facts.Any_order_of_packets_follows_the_model);
        Assert.Contains(" had sent the packet; ", caught?.Message, StringComparison.Ordinal);
    }

    private sealed class Facts(NetStack stack) : NetStackConformance(stack)
    {
        protected override int Sequences => EnoughSequences;
    }

    private sealed class UnixFacts(NetStack stack) : UnixStackConformance(stack)
    {
        protected override int Sequences => EnoughSequences;
    }

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

        public override IoResult ReceiveMessage(
            nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info)
        {
            IoResult result = base.ReceiveMessage(fd, buffer, address, control, out info);
            if (result.IsSuccess && !address.IsEmpty) address[2..4].Clear();
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

    /// <summary>Gives a socket a peer for its sends alone.</summary>
    private sealed class HearsEverybody : FaultySockets
    {
        private readonly ConcurrentDictionary<nint, byte[]> _peers = new();

        public override IoResult Connect(nint fd, ReadOnlySpan<byte> address)
        {
            byte[] local = address.ToArray();
            local.AsSpan(2, 2).Clear(); // Any port, at the same address.
            _peers[fd] = address.ToArray();
            return base.Bind(fd, local);
        }

        public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer) =>
            _peers.TryGetValue(fd, out byte[]? peer) ? base.SendTo(fd, buffer, peer) : base.Send(fd, buffer);
    }

    /// <summary>Takes nothing for a packet of 0 bytes.</summary>
    private sealed class FindsAPacketInNone : FaultySockets
    {
        public override IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength)
        {
            IoResult result = base.ReceiveFrom(fd, buffer, address, out addressLength);
            return result == Errno.EAGAIN ? 0 : result;
        }
    }

    /// <summary>Takes the bytes of the first packet after a receive that found none.</summary>
    private sealed class EmptiesAPacketThatWaited : FaultySockets
    {
        private volatile bool _foundNone;

        public override IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength)
        {
            IoResult result = base.ReceiveFrom(fd, buffer, address, out addressLength);
            if (result == Errno.EAGAIN) _foundNone = true;
            if (!result.IsSuccess || !_foundNone) return result;
            _foundNone = false;
            return 0;
        }
    }

    /// <summary>Gives the next packet behind the bytes of one, if there is room for more.</summary>
    private sealed class JoinsTwoPackets : FaultySockets
    {
        public override IoResult Receive(nint fd, Span<byte> buffer)
        {
            IoResult result = base.Receive(fd, buffer);
            int count = CountOf(result);
            Span<byte> room = buffer[count..];
            return count > 0 && CountOf(base.Peek(fd, room)) > 0 ? count + CountOf(base.Receive(fd, room)) : result;
        }
    }

    /// <summary>Gives the bytes of a packet once more in the place of the next one, if that is as long.</summary>
    private sealed class RepeatsAPacket : FaultySockets
    {
        private byte[] _last = [];

        public override IoResult Receive(nint fd, Span<byte> buffer)
        {
            IoResult result = base.Receive(fd, buffer);
            if (!result.IsSuccess) return result;
            byte[] last = Interlocked.Exchange(ref _last, buffer[..result.Value].ToArray());
            if (last.Length == result.Value) last.CopyTo(buffer);
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
