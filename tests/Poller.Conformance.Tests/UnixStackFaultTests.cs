using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;

namespace Poller.Conformance.Tests;

/// <summary>
/// That the facts about Unix sockets can fail: each fault under a right net layer makes one. The facts about messages alone have theirs in
/// <see cref="PacketFaultTests"/>.
/// </summary>
public sealed class UnixStackFaultTests
{
    private const int SCM_RIGHTS = 1;

    private static readonly Dictionary<string, Func<FaultySockets>> Sockets = new()
    {
        [nameof(RefusesAFullPeer)] = () => new RefusesAFullPeer(),
        [nameof(CutsWhatHasWaited)] = () => new CutsWhatHasWaited(),
        [nameof(HidesTheSender)] = () => new HidesTheSender(),
        [nameof(DropsDescriptors)] = () => new DropsDescriptors(),
        [nameof(GivesDescriptorsTwice)] = () => new GivesDescriptorsTwice(),
        [nameof(SwapsDescriptors)] = () => new SwapsDescriptors(),
        [nameof(LeavesThemToChildren)] = () => new LeavesThemToChildren(),
        [nameof(DropsAllButOne)] = () => new DropsAllButOne(),
        [nameof(KeepsACopy)] = () => new KeepsACopy(),
        [nameof(SendsDescriptorsWithEachPart)] = () => new SendsDescriptorsWithEachPart(),
        [nameof(BindsOverAnother)] = () => new BindsOverAnother(),
        [nameof(RemovesByName)] = () => new RemovesByName(),
    };

    /// <summary>The forms and the networks that a fact has are all run, and each is to fail.</summary>
    [Theory]
    [InlineData(nameof(RefusesAFullPeer), nameof(UnixStackConformance.A_message_to_a_full_peer_waits_until_it_reads))]
    [InlineData(nameof(CutsWhatHasWaited), nameof(UnixStackConformance.A_message_to_a_full_peer_waits_until_it_reads))]
    [InlineData(nameof(HidesTheSender), nameof(UnixStackConformance.A_datagram_brings_the_address_to_answer_to))]
    [InlineData(nameof(DropsDescriptors), nameof(UnixStackConformance.Descriptors_arrive_with_their_bytes))]
    [InlineData(nameof(GivesDescriptorsTwice), nameof(UnixStackConformance.Descriptors_arrive_with_their_bytes))]
    [InlineData(nameof(SwapsDescriptors), nameof(UnixStackConformance.Descriptors_arrive_with_their_bytes))]
    [InlineData(nameof(LeavesThemToChildren), nameof(UnixStackConformance.Descriptors_arrive_with_their_bytes))]
    [InlineData(nameof(DropsAllButOne), nameof(UnixStackConformance.A_descriptor_that_nobody_takes_is_closed))]
    [InlineData(nameof(KeepsACopy), nameof(UnixStackConformance.A_descriptor_that_nobody_takes_is_closed))]
    [InlineData(nameof(SendsDescriptorsWithEachPart), nameof(UnixStackConformance.A_send_in_parts_sends_its_descriptors_once))]
    [InlineData(nameof(BindsOverAnother), nameof(UnixStackConformance.A_listener_removes_its_own_file_alone))]
    [InlineData(nameof(RemovesByName), nameof(UnixStackConformance.A_listener_removes_its_own_file_alone))]
    public void A_fault_of_the_sockets_fails_a_fact(string fault, string fact)
    {
        MethodInfo method = typeof(UnixStackConformance).GetMethod(fact)!;
        object[][] forms = [.. method.GetCustomAttributes<InlineDataAttribute>().SelectMany(one => one.GetData(method))];
        foreach (object[] form in forms.Length == 0 ? [[]] : forms)
        {
            using Netpoller poller = new(new EpollNetpollFactory());
            using (Facts right = new(new NetStack(poller), Worker.Bound)) method.Invoke(right, form);
            FaultySockets sockets = Sockets[fault]();
            using (Facts facts = new(new NetStack(poller, sockets), TimeSpan.FromMilliseconds(200)))
            {
                Exception? failure = Assert.Throws<TargetInvocationException>(() => method.Invoke(facts, form)).InnerException;

                // A descriptor that is left open, or is not the one that was sent, shows by a wait in vain. The others are told at once.
                Assert.Equal(fault is nameof(KeepsACopy) or nameof(SwapsDescriptors), failure is TimeoutException);
            }
            (sockets as IDisposable)?.Dispose();
        }
    }

    /// <summary>It is nested and private, so that no runner finds it.</summary>
    private sealed class Facts(NetStack stack, TimeSpan patience) : UnixStackConformance(stack)
    {
        protected override TimeSpan Patience => patience;
    }

    /// <summary>Takes a peer without room for one that fails, as some systems do.</summary>
    private sealed class RefusesAFullPeer : FaultySockets
    {
        public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
        {
            IoResult result = base.Send(fd, buffer);
            return result == Errno.EAGAIN ? Errno.ENOMEM : result;
        }
    }

    /// <summary>Sends a byte less of a message that found no room before.</summary>
    private sealed class CutsWhatHasWaited : FaultySockets
    {
        private volatile bool _waited;

        public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
        {
            IoResult result = base.Send(fd, _waited ? buffer[..^1] : buffer);
            if (result == Errno.EAGAIN) _waited = true;
            return result.IsSuccess ? buffer.Length : result;
        }
    }

    /// <summary>Gives the address of a socket that has none.</summary>
    private sealed class HidesTheSender : FaultySockets
    {
        public override IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength)
        {
            IoResult result = base.ReceiveFrom(fd, buffer, address, out addressLength);
            addressLength = Math.Min(addressLength, sizeof(short)); // The family alone.
            return result;
        }
    }

    /// <summary>Changes the descriptors that come with a message.</summary>
    private abstract class ChangesDescriptors : FaultySockets
    {
        public sealed override IoResult ReceiveMessage(
            nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info)
        {
            IoResult result = base.ReceiveMessage(fd, buffer, address, control, out info);
            ControlReader reader = new(ControlLayout, control[..info.ControlLength]);
            if (!reader.TryRead(out ControlItem item) || item.Type != SCM_RIGHTS) return result;
            int[] changed = Change(MemoryMarshal.Cast<byte, int>(item.Data).ToArray());
            ControlWriter writer = new(ControlLayout, control);
            if (changed.Length > 0) writer.Write(SocketLevel, SCM_RIGHTS, MemoryMarshal.AsBytes<int>(changed));
            info.ControlLength = writer.Length;
            return result;
        }

        /// <summary>What the receiver gets in the place of the descriptors. Those that it does not get are to be closed.</summary>
        protected abstract int[] Change(int[] descriptors);

        protected int[] Close(ReadOnlySpan<int> descriptors)
        {
            foreach (int fd in descriptors) Close(fd);
            return [];
        }

        protected static int Copy(int fd) => UnixFileApi.Duplicate(fd, 0).Value;
    }

    /// <summary>Closes the descriptors, and does not tell.</summary>
    private sealed class DropsDescriptors : ChangesDescriptors
    {
        protected override int[] Change(int[] descriptors) => Close(descriptors.AsSpan());
    }

    private sealed class GivesDescriptorsTwice : ChangesDescriptors
    {
        protected override int[] Change(int[] descriptors) => [.. descriptors, .. descriptors.Select(Copy)];
    }

    /// <summary>Gives the last descriptor in the place of the first.</summary>
    private sealed class SwapsDescriptors : ChangesDescriptors
    {
        protected override int[] Change(int[] descriptors) => [.. descriptors.Reverse()];
    }

    /// <summary>Has no MSG_CMSG_CLOEXEC.</summary>
    private sealed class LeavesThemToChildren : ChangesDescriptors
    {
        protected override int[] Change(int[] descriptors)
        {
            foreach (int fd in descriptors) Assert.Equal(0, LibC.fcntl(fd, LibC.F_SETFD, 0));
            return descriptors;
        }
    }

    /// <summary>Closes all descriptors but the first, and does not tell.</summary>
    private sealed class DropsAllButOne : ChangesDescriptors
    {
        protected override int[] Change(int[] descriptors)
        {
            Close(descriptors.AsSpan(1));
            return descriptors[..1];
        }
    }

    /// <summary>Keeps a descriptor of each open file that comes.</summary>
    private sealed class KeepsACopy : ChangesDescriptors, IDisposable
    {
        private readonly ConcurrentBag<int> _kept = [];

        protected override int[] Change(int[] descriptors)
        {
            foreach (int fd in descriptors) _kept.Add(Copy(fd));
            return descriptors;
        }

        public void Dispose() => Close(_kept.ToArray().AsSpan());
    }

    /// <summary>Sends the descriptors once more with each part that follows.</summary>
    private sealed class SendsDescriptorsWithEachPart : FaultySockets
    {
        private readonly ConcurrentDictionary<nint, byte[]> _sent = new();

        public override IoResult SendMessage(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control)
        {
            _sent[fd] = control.ToArray();
            return base.SendMessage(fd, buffer, address, control);
        }

        public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer) =>
            _sent.TryGetValue(fd, out byte[]? control) ? base.SendMessage(fd, buffer, default, control) : base.Send(fd, buffer);
    }

    /// <summary>Remembers the files of sockets.</summary>
    private abstract class KnowsFiles : FaultySockets
    {
        protected ConcurrentDictionary<nint, string> Files { get; } = new();

        public override IoResult Bind(nint fd, ReadOnlySpan<byte> address)
        {
            Files[fd] = Encoding.UTF8.GetString(address[sizeof(short)..].TrimEnd((byte)0));
            return base.Bind(fd, address);
        }
    }

    /// <summary>Removes the file of a socket whose address another takes.</summary>
    private sealed class BindsOverAnother : KnowsFiles
    {
        public override IoResult Bind(nint fd, ReadOnlySpan<byte> address)
        {
            IoResult result = base.Bind(fd, address);
            if (result != Errno.EADDRINUSE) return result;
            File.Delete(Files[fd]);
            return base.Bind(fd, address);
        }
    }

    /// <summary>Removes whatever is at the address of a socket that is closed.</summary>
    private sealed class RemovesByName : KnowsFiles
    {
        public override IoResult Close(nint fd)
        {
            if (Files.TryRemove(fd, out string? path) && File.Exists(path)) File.Delete(path);
            return base.Close(fd);
        }
    }
}
