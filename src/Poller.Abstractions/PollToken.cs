using System.Globalization;

namespace Poller.Abstractions;

/// <summary>
/// The 64 bits under which a descriptor is registered. A backend passes them to the kernel and back without reading them
/// (<c>epoll_data</c>, <c>udata</c>).
/// </summary>
/// <remarks>
/// Poller.Net packs a slot and a sequence number into it. A new descriptor in the same slot has another sequence number, so Poller.Net
/// recognises and drops an event for the closed one. A program with its own loop may use any value except <see cref="Wakeup"/>.
/// </remarks>
/// <param name="Value">The bits.</param>
public readonly record struct PollToken(ulong Value)
{
    /// <summary>The one reserved value: it marks the backend's own wake-up.</summary>
    public static PollToken Wakeup => new(ulong.MaxValue);

    /// <summary>Packs a slot and its sequence number.</summary>
    public PollToken(uint slot, uint sequence) : this(((ulong)slot << 32) | sequence) { }

    /// <summary>The upper 32 bits.</summary>
    public uint Slot => (uint)(Value >> 32);

    /// <summary>The lower 32 bits.</summary>
    public uint Sequence => (uint)Value;

    /// <summary>The bits in hexadecimal, such as <c>0x0000000100000002</c>.</summary>
    public override string ToString() => "0x" + Value.ToString("x16", CultureInfo.InvariantCulture);
}
