using System.Globalization;

namespace Poller.Abstractions;

/// <summary>
/// The 64 bits a descriptor is registered under. A backend carries them to the kernel and back unread (<c>epoll_data</c>, <c>udata</c>).
/// </summary>
/// <remarks>
/// Poller.Net packs a slot and a sequence number into it, so that an event for a descriptor that was closed, and whose slot lives
/// on under another number, is recognised and dropped. A program with its own loop may put anything in it except <see cref="Wakeup"/>.
/// </remarks>
/// <param name="Value">The bits.</param>
public readonly record struct PollToken(ulong Value)
{
    /// <summary>The one value that is taken: the backend's own wake-up.</summary>
    public static PollToken Wakeup => new(ulong.MaxValue);

    /// <summary>Packs a slot and its sequence number.</summary>
    public PollToken(uint slot, uint sequence) : this(((ulong)slot << 32) | sequence) { }

    /// <summary>The upper half.</summary>
    public uint Slot => (uint)(Value >> 32);

    /// <summary>The lower half.</summary>
    public uint Sequence => (uint)Value;

    /// <summary>The bits in hexadecimal, as <c>0x0000000100000002</c>.</summary>
    public override string ToString() => "0x" + Value.ToString("x16", CultureInfo.InvariantCulture);
}
