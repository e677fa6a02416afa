using System.Buffers;
using Microsoft.AspNetCore.Connections;

namespace Poller.AspNetCore;

internal static class MemoryPools
{
    /// <summary>A pool of the app's factory; without one the pool that all programs share.</summary>
    public static MemoryPool<byte> CreatePool(this IMemoryPoolFactory<byte>? factory) =>
        factory?.Create(new MemoryPoolOptions { Owner = "poller" }) ?? MemoryPool<byte>.Shared;
}
