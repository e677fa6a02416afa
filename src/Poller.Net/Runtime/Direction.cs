using Poller.Abstractions;

namespace Poller.Net;

/// <summary>One of the two sides of a descriptor. A mask of both is a <see cref="PollMode"/>.</summary>
internal enum Direction : byte
{
    Read,
    Write,
}

internal static class Directions
{
    public static PollMode ToMode(this Direction direction) => direction == Direction.Read ? PollMode.Read : PollMode.Write;
}
