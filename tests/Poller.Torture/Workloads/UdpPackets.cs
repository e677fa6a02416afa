using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Datagrams over UDP, from some senders, with a peer and without one, to one receiver, which answers each by its number. They go alone and
/// in batches. Some sockets are closed in mid-work.
/// </summary>
/// <remarks>
/// The loopback device drops a datagram if the receiver's buffer is full. So each sender has few that are not answered, which the system's
/// smallest buffer holds. Then none may be lost, and nobody sends one again: that would wake a receiver which missed its wake-up.
/// </remarks>
internal sealed class UdpPackets(Torture torture) : Workload(torture)
{
    private const int MaxSenders = 3;
    private const int Window = 6;
    private const int MaxLength = 4000; // 3 senders x 6 datagrams x twice that, with what the kernel adds, is less than 208 KiB.
    private const int MaxDatagram = Header.Length + MaxLength;
    private const int AnswerLength = Header.Length + sizeof(int);

    /// <summary>
    /// What each datagram begins with: the round and the sender. After a close, the port may become that of another round, and then the
    /// datagrams of the first may still come.
    /// </summary>
    private readonly record struct Header(int Round, byte Sender)
    {
        public const int Length = sizeof(int) + sizeof(byte);

        public byte[] Before(ReadOnlySpan<byte> rest) => [.. BitConverter.GetBytes(Round), Sender, .. rest];

        public static bool TryRead(ReadOnlySpan<byte> datagram, int round, out int sender)
        {
            if (datagram.Length < Length) throw new InvalidDataException($"a datagram of {datagram.Length} bytes came");
            sender = datagram[sizeof(int)];
            return BitConverter.ToInt32(datagram) == round;
        }
    }

    private int _rounds;

    protected override int Workers => 24;

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        activity.Awaits("its sockets");
        List<IDisposable> sockets = [];
        List<Sender> senders = [];
        try
        {
            IPEndPoint loopback = new(IPAddress.Loopback, 0);
            UdpConn receiver = Torture.Net.ListenUdp(plan.Next(2) == 0 ? new IPEndPoint(IPAddress.Any, 0) : loopback);
            sockets.Add(receiver);
            IPEndPoint remote = new(IPAddress.Loopback, receiver.LocalEndPoint.Port);
            int round = Interlocked.Increment(ref _rounds);
            Ending ending = new();
            Parts parts = new(Torture, $"{Name} to {remote}", ending);
            int count = plan.Next(2) == 0 ? plan.Next(1, 20) : plan.Next(20, 400);
            int wanted = plan.Next(1, MaxSenders + 1);
            while (senders.Count < wanted)
            {
                bool hasPeer = plan.Next(2) == 0;
                UdpConn conn = hasPeer ? await Torture.Net.DialUdpAsync(remote) : Torture.Net.ListenUdp(loopback);
                sockets.Add(conn);
                Header header = new(round, (byte)senders.Count);
                senders.Add(new Sender(Torture, header, conn, hasPeer ? null : remote.Serialize(), count, plan));
                Torture.Figures.Add(Figure.Connections);
            }
            Task aborting = plan.Next(8) == 0 ? parts.AbortAsync(new Random(plan.Next()), [.. sockets]) : Task.CompletedTask;
            List<Task> running =
            [
                parts.RunAsync("receiver", plan, (activity, blocks, own) => ServeAsync(round, receiver, senders, activity, blocks, own)),
            ];
            foreach (Sender sender in senders)
            {
                running.Add(parts.RunAsync($"sender {sender.Index}", plan, sender.SendAsync));
                running.Add(parts.RunAsync($"answers to {sender.Index}", plan, sender.TakeAnswersAsync));
            }
            activity.AwaitsOthers($"the parts of {Name} to {remote}");
            await Task.WhenAll(running);
            await aborting;
        }
        catch (NetOpException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
        {
            await Torture.DelayAsync(TimeSpan.FromMilliseconds(50));
        }
        finally
        {
            foreach (IDisposable owned in sockets.Concat(senders)) owned.Dispose();
        }
    }

    // Receives the datagrams of all senders, and answers each.
    private async Task ServeAsync(int round, UdpConn conn, List<Sender> senders, Activity activity, bool blocks, Random plan)
    {
        Interruptions reads = new(Torture, PollMode.Read, (_, time) => conn.SetReadDeadline(time), plan);
        Interruptions writes = new(Torture, PollMode.Write, (_, time) => conn.SetWriteDeadline(time), plan);
        UdpBatch batch = new(plan.Next(1, MaxSenders * Window), MaxDatagram), answers = new(batch.Capacity, AnswerLength);
        SocketAddress address = new(AddressFamily.InterNetwork);
        byte[] buffer = new byte[batch.MaxBytes], control = new byte[64];
        int left = senders.Sum(static sender => sender.Total);
        while (left > 0)
        {
            activity.Awaits("a datagram", left);
            answers.Clear();
            int form = plan.Next(3), bytes = 0;
            bool received = await reads.RunAsync(async token =>
            {
                if (form == 0 && blocks) conn.ReceiveBatch(batch);
                else if (form == 0) await conn.ReceiveBatchAsync(batch, token);
                else if (form == 1 && blocks) bytes = conn.ReceiveFrom(buffer, address);
                else if (form == 1) bytes = await conn.ReceiveFromAsync(buffer, address, token);
                else
                {
                    ReceivedMessage message = blocks
                        ? conn.ReceiveMessage(buffer, control, address)
                        : await conn.ReceiveMessageAsync(buffer, control, address, token);
                    if (message.IsTruncated) throw new InvalidDataException("a datagram was cut");
                    bytes = message.Bytes;
                }
            });
            if (!received) continue;
            if (form == 0)
            {
                for (int i = 0; i < batch.Count; i++)
                {
                    if (batch[i].IsTruncated) throw new InvalidDataException("a datagram of a batch was cut");
                    batch[i].CopyAddressTo(address);
                    Take(batch[i].Bytes);
                }
            }
            else Take(buffer.AsSpan(0, bytes));
            left -= answers.Count;
            if (answers.Count > 0) await AnswerAsync();
        }

        void Take(ReadOnlySpan<byte> datagram)
        {
            if (!Header.TryRead(datagram, round, out int index)) return;
            Sender sender = senders[index];
            if (!sender.IsAt(address)) throw new InvalidDataException($"a datagram of sender {sender.Index} came from {address}");
            int number = sender.Received.Take(datagram[Header.Length..]);
            Torture.Figures.Add(Figure.Bytes, datagram.Length);
            Torture.Figures.Add(Figure.Messages);
            answers.TryAdd(sender.Header.Before(BitConverter.GetBytes(number)), address);
        }

        async ValueTask AnswerAsync()
        {
            activity.Awaits("an answer", left);
            if (answers.Count > 1 || plan.Next(2) == 0)
            {
                await SendBatchAsync(conn, answers, writes, blocks);
                return;
            }
            byte[] answer = answers[0].Bytes.ToArray();
            while (!await writes.RunAsync(async token =>
            {
                if (blocks) conn.SendTo(answer, address);
                else await conn.SendToAsync(answer, address, token);
            }))
            {
            }
        }
    }

    // Sends a batch. One that was interrupted says how many datagrams it has sent.
    private static async ValueTask SendBatchAsync(UdpConn conn, UdpBatch batch, Interruptions writes, bool blocks)
    {
        while (!await writes.RunAsync(async token =>
        {
            if (blocks) conn.SendBatch(batch);
            else await conn.SendBatchAsync(batch, token);
        }))
        {
            UdpBatch rest = new(batch.Capacity, batch.MaxBytes);
            SocketAddress address = new(AddressFamily.InterNetwork);
            for (int i = batch.Sent; i < batch.Count; i++)
            {
                bool hasAddress = batch[i].RemoteEndPoint is not null;
                if (hasAddress) batch[i].CopyAddressTo(address);
                rest.TryAdd(batch[i].Bytes, hasAddress ? address : null);
            }
            if (rest.Count == 0) return;
            batch = rest;
        }
    }

    /// <summary>One sender, and what the receiver knows of it.</summary>
    private sealed class Sender(
        Torture torture, Header header, UdpConn conn, SocketAddress? remote, int total, Random plan) : IDisposable
    {
        private readonly MessagePattern _pattern = new(plan.Next(), MaxLength);
        private readonly SemaphoreSlim _credits = new(Window);
        private readonly SocketAddress _address = conn.LocalEndPoint.Serialize();
        private MessageReader? _received;

        public Header Header => header;

        public int Index => header.Sender;

        public int Total => total;

        /// <summary>Used by the receiver alone.</summary>
        public MessageReader Received => _received ??= new MessageReader(_pattern, total, inOrder: false);

        public void Dispose() => _credits.Dispose();

        public bool IsAt(SocketAddress address) => address.Equals(_address);

        public async Task SendAsync(Activity activity, bool blocks, Random plan)
        {
            Interruptions writes = new(torture, PollMode.Write, (_, time) => conn.SetWriteDeadline(time), plan);
            UdpBatch batch = new(Window, MaxDatagram);
            for (int number = 0; number < total;)
            {
                activity.Awaits("an answer", number);
                if (blocks) _credits.Wait();
                else await _credits.WaitAsync();
                int credits = 1, most = plan.Next(3) == 0 ? Math.Min(Window, total - number) : 1;
                while (credits < most && _credits.Wait(0)) credits++;
                activity.Awaits($"a send of {credits} datagrams", number);
                batch.Clear();
                for (int i = 0; i < credits; i++) batch.TryAdd(header.Before(_pattern[number++]), remote);
                if (credits == 1 && plan.Next(2) == 0) await SendOneAsync(batch[0].Bytes.ToArray());
                else await SendBatchAsync(conn, batch, writes, blocks);
            }

            async ValueTask SendOneAsync(byte[] datagram)
            {
                while (!await writes.RunAsync(async token =>
                {
                    if (remote is null && blocks) conn.Write(datagram);
                    else if (remote is null) await conn.WriteAsync(datagram, token);
                    else if (blocks) conn.SendTo(datagram, remote);
                    else await conn.SendToAsync(datagram, remote, token);
                }))
                {
                }
            }
        }

        public async Task TakeAnswersAsync(Activity activity, bool blocks, Random plan)
        {
            Interruptions reads = new(torture, PollMode.Read, (_, time) => conn.SetReadDeadline(time), plan);
            bool[] answered = new bool[total];
            byte[] answer = new byte[AnswerLength + 1];
            try
            {
                for (int count = 0; count < total;)
                {
                    activity.Awaits("an answer", count);
                    int length = 0;
                    bool received = await reads.RunAsync(async token =>
                    {
                        if (!blocks && plan.Next(8) == 0) await conn.WaitToReadAsync(token);
                        length = blocks ? conn.Read(answer) : await conn.ReadAsync(answer, token);
                    });
                    if (!received || !Header.TryRead(answer.AsSpan(0, length), header.Round, out int sender)) continue;
                    int number = BitConverter.ToInt32(answer, Header.Length);
                    if (length != AnswerLength || sender != Index || answered[number])
                    {
                        throw new InvalidDataException($"an answer of {length} bytes to datagram {number} of sender {sender}");
                    }
                    answered[number] = true;
                    count++;
                    _credits.Release();
                }
            }
            finally
            {
                _credits.Release(total); // After a close nobody answers, and the sends shall see the close.
            }
        }
    }
}
