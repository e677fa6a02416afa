using System.Reflection;
using System.Runtime.CompilerServices;

namespace Poller.Net.Tests;

/// <summary>What an idle connection keeps is a budget. One field more can cost 8 bytes, or none: it depends on the gaps.</summary>
public sealed class IdleSizeTests
{
    [Fact]
    public void A_connection_that_waits_to_read_keeps_no_more_than_344_bytes()
    {
        Type operation = typeof(SocketFd).GetNestedType("IoOp", BindingFlags.NonPublic)!;
        Type[] kept = [typeof(TcpConn), typeof(NetFd), typeof(PollDesc), operation];
        long[] sizes = [.. kept.Select(SizeOf)];
        Assert.True(sizes.Sum() <= 344, string.Join(", ", kept.Zip(sizes, static (type, size) => $"{type.Name} {size}")));
    }

    private static long SizeOf(Type type)
    {
        Make(type); // The runtime allocates objects of its own for the first one.
        long before = GC.GetAllocatedBytesForCurrentThread();
        Make(type);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void Make(Type type)
    {
        object made = RuntimeHelpers.GetUninitializedObject(type);
#pragma warning disable CA1816 // It holds no descriptor, so its finalizer must not close one.
        GC.SuppressFinalize(made);
#pragma warning restore CA1816
    }
}
