using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>What a batch knows of one message.</summary>
internal struct MessageSlot
{
    /// <summary>The length of the message, in bytes.</summary>
    public int Length;

    /// <summary>The length of its address, in bytes; 0 for none.</summary>
    public int AddressLength;

    /// <summary>The length of its control data, in bytes; 0 for none.</summary>
    public int ControlLength;

    /// <summary>Above 0, if the message is several datagrams of this size.</summary>
    public int SegmentSize;

    /// <summary>Whether the message was longer than its buffer.</summary>
    public bool IsTruncated;

    /// <summary>Whether there was more control data than its room takes.</summary>
    public bool IsControlTruncated;

    /// <summary>Whether the message was received, so that its address is its sender's.</summary>
    public bool IsReceived;
}

/// <summary>
/// The memory of several messages, for recvmmsg(2) and sendmmsg(2). It is pinned for the batch's life, so a call pins nothing. One
/// operation at a time uses a batch.
/// </summary>
internal sealed class MessageBatch
{
    /// <summary>
    /// The room for the segment size and for what Linux puts before it (sock_recv_cmsgs in net/socket.c, if the user has the options on):
    /// times 32 + 64 + 32 bytes, the drops 24, the mark 24, the priority 24, and the size itself 24.
    /// </summary>
    public const int ControlRoom = 256;

    // The largest address of IP.
    private const int AddressRoom = 32;

    /// <summary>One message as sendmmsg(2) takes it: a struct mmsghdr of Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Header
    {
        public Message Message;
        public uint Length;
    }

    /// <summary>A struct msghdr of Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Message
    {
        public nint Name;
        public uint NameLength;
        public nint Buffers;
        public nint BufferCount;
        public nint Control;
        public nint ControlLength;
        public int Flags;
    }

    private readonly byte[] _buffers;
    private readonly byte[] _addresses;
    private readonly byte[] _control;

    public MessageBatch(int capacity, int maxBytes)
    {
        MaxBytes = maxBytes;
        _buffers = GC.AllocateUninitializedArray<byte>(capacity * maxBytes, pinned: true);
        _addresses = GC.AllocateArray<byte>(capacity * AddressRoom, pinned: true);
        _control = GC.AllocateArray<byte>(capacity * ControlRoom, pinned: true);
        Slots = new MessageSlot[capacity];
        Headers = GC.AllocateArray<Header>(capacity, pinned: true);
        Vectors = GC.AllocateArray<IoVector>(capacity, pinned: true);
        for (int i = 0; i < capacity; i++)
        {
            Vectors[i].Base = Marshal.UnsafeAddrOfPinnedArrayElement(_buffers, i * maxBytes);
            Headers[i].Message = new Message
            {
                Buffers = Marshal.UnsafeAddrOfPinnedArrayElement(Vectors, i),
                BufferCount = 1,
            };
        }
    }

    public int Capacity => Slots.Length;

    public int MaxBytes { get; }

    public MessageSlot[] Slots { get; }

    /// <summary>How many messages it holds.</summary>
    public int Count { get; set; }

    /// <summary>How many of them the current or the last send has sent.</summary>
    public int Sent { get; set; }

    /// <summary>Whether a receive takes control data.</summary>
    public bool TakesControl { get; set; }

    /// <summary>An error that came after some messages, where the system has no call for many. The next call returns it.</summary>
    public Errno Pending { get; set; }

    /// <summary>For the system's calls. A call fills in the rest.</summary>
    public Header[] Headers { get; }

    /// <inheritdoc cref="Headers"/>
    public IoVector[] Vectors { get; }

    public Span<byte> BufferOf(int index) => _buffers.AsSpan(index * MaxBytes, MaxBytes);

    public Span<byte> AddressOf(int index) => _addresses.AsSpan(index * AddressRoom, AddressRoom);

    public Span<byte> ControlOf(int index) => _control.AsSpan(index * ControlRoom, ControlRoom);

    /// <summary>Fills in the headers for a receive into every message.</summary>
    public void PrepareReceive()
    {
        for (int i = 0; i < Capacity; i++)
        {
            Vectors[i].Length = MaxBytes;
            ref Message message = ref Headers[i].Message;
            message.Name = Marshal.UnsafeAddrOfPinnedArrayElement(_addresses, i * AddressRoom);
            message.NameLength = AddressRoom;
            message.Control = TakesControl ? Marshal.UnsafeAddrOfPinnedArrayElement(_control, i * ControlRoom) : 0;
            message.ControlLength = TakesControl ? ControlRoom : 0;
        }
    }

    /// <summary>Takes what a receive of <paramref name="count"/> messages has written to the headers.</summary>
    public void TakeReceived(int count, int truncated, int controlTruncated)
    {
        for (int i = 0; i < count; i++)
        {
            ref Header header = ref Headers[i];
            Slots[i] = new MessageSlot
            {
                Length = (int)header.Length,
                AddressLength = Math.Min((int)header.Message.NameLength, AddressRoom),
                ControlLength = (int)header.Message.ControlLength,
                IsTruncated = (header.Message.Flags & truncated) != 0,
                IsControlTruncated = (header.Message.Flags & controlTruncated) != 0,
                IsReceived = true,
            };
        }
    }

    /// <summary>Fills in the headers for a send of the messages from <paramref name="first"/> on.</summary>
    public void PrepareSend(int first)
    {
        for (int i = first; i < Count; i++)
        {
            ref readonly MessageSlot slot = ref Slots[i];
            Vectors[i].Length = slot.Length;
            ref Message message = ref Headers[i].Message;
            message.Name = slot.AddressLength > 0 ? Marshal.UnsafeAddrOfPinnedArrayElement(_addresses, i * AddressRoom) : 0;
            message.NameLength = (uint)slot.AddressLength;
            message.Control = slot.ControlLength > 0 ? Marshal.UnsafeAddrOfPinnedArrayElement(_control, i * ControlRoom) : 0;
            message.ControlLength = slot.ControlLength;
        }
    }
}
