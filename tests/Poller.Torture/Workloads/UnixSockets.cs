using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Unix sockets: streams of bytes, and messages over each network, to a peer and to an address. Messages carry descriptors, for which the
/// receiver has not always room. Some sockets are closed in mid-work.
/// </summary>
internal sealed class UnixSockets(Torture torture) : Workload(torture)
{
    private enum Kind
    {
        Stream,

        /// <summary>Messages over a stream. The receiver reads up to the end of one, and so knows whose descriptors it gets.</summary>
        Descriptors,

        Packets,
        Datagrams,
        DatagramsToAddress,
    }

    private const int MaxLength = 3000;
    private const int MaxHandles = 3;

    protected override int Workers => 30;

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        activity.Awaits("its sockets");
        Kind kind = (Kind)plan.Next(5);
        UnixConn? from = null, to = null;
        try
        {
            try
            {
                (from, to) = await OpenAsync(kind);
            }
            catch (NetOpException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
            {
                await Torture.DelayAsync(TimeSpan.FromMilliseconds(50));
                return;
            }
            Torture.Figures.Add(Figure.Connections);
            if (plan.Next(2) == 0) LibC.Shrink(from, 8192); // A message of 3,000 bytes must fit.
            Ending ending = new();
            string name = $"{Name} {kind} from {from.LocalEndPoint} to {to.LocalEndPoint}";
            Parts parts = new(Torture, name, ending);
            IDisposable[] both = [from, to];
            Task aborting = plan.Next(8) == 0 ? parts.AbortAsync(new Random(plan.Next()), both) : Task.CompletedTask;
            activity.AwaitsOthers($"the parts of {name}");
            if (kind == Kind.Stream) await StreamAsync(from, to, name, ending, plan);
            else await new Messages(Torture, kind, from, to, ending, plan).RunAsync(parts, plan);
            await aborting;
        }
        finally
        {
            from?.Dispose();
            to?.Dispose();
        }
    }

    private async Task<(UnixConn From, UnixConn To)> OpenAsync(Kind kind)
    {
        if (kind is Kind.Datagrams or Kind.DatagramsToAddress)
        {
            UnixConn to = (UnixConn)Torture.Net.ListenPacket("unixgram", "");
            try
            {
                UnixConn from = kind == Kind.Datagrams
                    ? (UnixConn)await Torture.Net.DialAsync("unixgram", $"{to.LocalEndPoint}")
                    : (UnixConn)Torture.Net.ListenPacket("unixgram", "");
                return (from, to);
            }
            catch
            {
                to.Dispose();
                throw;
            }
        }
        using ConnListener listener = Torture.Net.Listen(kind == Kind.Packets ? "unixpacket" : "unix", "");
        Conn dialed = await Torture.Net.DialAsync(kind == Kind.Packets ? "unixpacket" : "unix", $"{listener.LocalEndPoint}");
        return ((UnixConn)dialed, (UnixConn)await listener.AcceptAsync());
    }

    private async Task StreamAsync(UnixConn one, UnixConn other, string name, Ending ending, Random plan)
    {
        List<Task> flows = [];
        foreach ((UnixConn from, UnixConn to) in ((UnixConn, UnixConn)[])[(one, other), (other, one)])
        {
            int seed = plan.Next();
            long total = plan.Next(20) == 0 ? plan.Next(2_000_000) : plan.Next(100_000);
            Flow sender = new(Torture, name, seed, total, StyleOf(), ending, new Random(plan.Next()));
            Flow receiver = new(Torture, name, seed, total, StyleOf(), ending, new Random(plan.Next()));
            ConnChannel outgoing = new(from, new Random(plan.Next())), incoming = new(to, new Random(plan.Next()));
            flows.Add(SendAsync());
            flows.Add(receiver.ReceiveAsync(incoming));

            async Task SendAsync()
            {
                if (!await sender.SendAsync(outgoing)) return;
                try
                {
                    from.CloseWrite();
                    Torture.Figures.Add(Figure.HalfCloses);
                }
                catch (Exception e) when (ending.Allows(e))
                {
                }
            }
        }
        await Task.WhenAll(flows);

        FlowStyle StyleOf() => plan.Next(16) switch
        {
            0 => FlowStyle.Blocking,
            < 4 when Torture.MayBlockInPlace => FlowStyle.Mixed,
            _ => FlowStyle.Async,
        };
    }

    private static SafeFileHandle PipeWith(int number)
    {
        (Fd read, Fd write) = Fd.Pipe();
        using (write)
        {
            Descriptors.Check(Fd.Write(write, BitConverter.GetBytes(number)), "write");
            return new SafeFileHandle(read.Release(), ownsHandle: true);
        }
    }

    /// <summary>Messages from one socket to another. Some carry the reading ends of pipes, which hold the message's number.</summary>
    private sealed class Messages
    {
        private readonly Torture _torture;
        private readonly Kind _kind;
        private readonly UnixConn _from;
        private readonly UnixConn _to;
        private readonly Ending _ending;
        private readonly MessagePattern _pattern;
        private readonly int _total;
        private readonly int[] _handles; // How many descriptors each message carries.

        public Messages(Torture torture, Kind kind, UnixConn from, UnixConn to, Ending ending, Random plan)
        {
            (_torture, _kind, _from, _to, _ending) = (torture, kind, from, to, ending);
            _pattern = new MessagePattern(plan.Next(), MaxLength);
            _total = plan.Next(1, 200);
            _handles = new int[_total];
            if (kind == Kind.DatagramsToAddress) return;
            for (int i = 0; i < _total; i++) _handles[i] = plan.Next(4) == 0 ? plan.Next(1, MaxHandles + 1) : 0;
        }

        public async Task RunAsync(Parts parts, Random plan) =>
            await Task.WhenAll(parts.RunAsync("sender", plan, SendAsync), parts.RunAsync("receiver", plan, ReceiveAsync));

        private async Task SendAsync(Activity activity, bool blocks, Random plan)
        {
            Interruptions writes = new(_torture, PollMode.Write, (_, time) => _from.SetWriteDeadline(time), plan);
            SocketAddress? address = _kind == Kind.DatagramsToAddress ? _to.LocalEndPoint.Serialize() : null;
            for (int number = 0; number < _total; number++)
            {
                List<SafeHandle> handles = [];
                byte[] message = _pattern[number];
                try
                {
                    activity.Awaits("descriptors", number);
                    while (handles.Count < _handles[number]) handles.Add(await _torture.Descriptors.OpenAsync(() => PipeWith(number)));
                    activity.Awaits($"a send of {message.Length} bytes and {handles.Count} descriptors", number);

                    // A send on a stream that was interrupted may have sent a part.
                    if (_kind == Kind.Descriptors) await SendOneAsync(CancellationToken.None);
                    else while (!await writes.RunAsync(SendOneAsync)) { }
                }
                finally
                {
                    foreach (SafeHandle handle in handles) handle.Dispose();
                }

                async ValueTask SendOneAsync(CancellationToken token)
                {
                    if (address is not null)
                    {
                        if (blocks) _from.SendTo(message, address);
                        else await _from.SendToAsync(message, address, token);
                    }
                    else if (handles.Count == 0 && plan.Next(2) == 0)
                    {
                        if (blocks) _from.Write(message);
                        else await _from.WriteAsync(message, token);
                    }
                    else if (blocks) _from.Send(message, handles);
                    else await _from.SendAsync(message, handles, token);
                }
            }
        }

        private async Task ReceiveAsync(Activity activity, bool blocks, Random plan)
        {
            Interruptions reads = new(_torture, PollMode.Read, (_, time) => _to.SetReadDeadline(time), plan);
            MessageReader reader = new(_pattern, _total, inOrder: true);
            byte[] expected = _kind == Kind.Descriptors ? _pattern[0] : [], buffer = new byte[MaxLength];
            SafeHandle?[] handles = new SafeHandle?[MaxHandles];
            int filled = 0; // Of a stream: how many bytes of the message have come.
            while (reader.Count < _total)
            {
                activity.Awaits("a message", reader.Count);
                bool receives = plan.Next(4) != 0; // A read drops the descriptors.
                int room = receives ? plan.Next(MaxHandles + 1) : 0;
                int length = _kind == Kind.Descriptors ? plan.Next(1, expected.Length - filled + 1) : buffer.Length;
                (bool wasShort, long shortages) = (_torture.Descriptors.IsShort, _torture.Figures[Figure.Shortages]);
                ReceivedHandles result = default;
                bool received = await reads.RunAsync(async token =>
                {
                    Memory<byte> rest = buffer.AsMemory(filled, length);
                    Memory<SafeHandle?> space = handles.AsMemory(0, room);
                    if (receives) result = blocks ? _to.Receive(rest.Span, space.Span) : await _to.ReceiveAsync(rest, space, token);
                    else result = new ReceivedHandles { Bytes = blocks ? _to.Read(rest.Span) : await _to.ReadAsync(rest, token) };
                });
                if (!received) continue;
                if (result.Bytes == 0 && _ending.IsAbortive) return;
                if (result.Bytes == 0 || result.IsTruncated) throw new InvalidDataException($"{result}, and no whole message");

                int number = reader.Count;
                int sent = filled == 0 ? _handles[number] : 0; // They come with the first byte.
                filled += result.Bytes;
                if (_kind != Kind.Descriptors || filled == expected.Length)
                {
                    reader.Take(buffer.AsSpan(0, filled));
                    filled = 0;
                    if (_kind == Kind.Descriptors && reader.Count < _total) expected = _pattern[reader.Count];
                    _torture.Figures.Add(Figure.Messages);
                }
                _torture.Figures.Add(Figure.Bytes, result.Bytes);
                bool isShort = wasShort || _torture.Descriptors.IsShort || _torture.Figures[Figure.Shortages] != shortages;
                if (receives) Take(handles, result, number, sent, room, isShort);
            }
        }

        private void Take(SafeHandle?[] handles, ReceivedHandles result, int number, int sent, int room, bool isShort)
        {
            int expected = Math.Min(sent, room);
            bool isDropped = result.Handles < sent;
            if (result.HandlesDropped != isDropped || result.Handles > expected || (result.Handles < expected && !isShort))
            {
                throw new InvalidDataException($"{result} of message {number}, which has {sent} descriptors, with room for {room}");
            }
            _torture.Figures.Add(Figure.NotPassed, expected - result.Handles);
            _torture.Figures.Add(Figure.Passed, result.Handles);
            byte[] read = new byte[sizeof(int)];
            foreach (SafeHandle? handle in handles.AsSpan(0, result.Handles))
            {
                using (handle)
                {
                    int count = Fd.Read(handle!.DangerousGetHandle(), read);
                    if (count == read.Length && BitConverter.ToInt32(read) == number) continue;
                    throw new InvalidDataException($"message {number} came with another descriptor: a read of it gave {count} bytes");
                }
            }
        }
    }
}
