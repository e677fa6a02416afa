namespace Peers;

/// <summary>The requests that the first byte of a read may make. Echoed bytes are below 0x80.</summary>
internal static class Requests
{
    public const byte Compute = 0xFE;
    public const byte Block = 0xFD;
    public const byte Sink = 0xFC;
    public const int BufferSize = 16 * 1024;
    public const int SinkBufferSize = 64 * 1024;

    public static void Perform(byte kind)
    {
        if (kind == Compute) ComputeOnce();
        else if (kind == Block) Thread.Sleep(20);
    }

    // Every peer computes the same dependent chain: about 1 ms of one core.
    private static void ComputeOnce()
    {
        ulong x = 88172645463325252;
        for (int i = 0; i < 400_000; i++)
        {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        if (x == 0) throw new InvalidOperationException("Never: keeps the compiler from dropping the loop.");
    }
}
