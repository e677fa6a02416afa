namespace Poller.Net;

// Go has it outside of package net: LimitListener in golang.org/x/net/netutil.
//
//   open -> open + 1   an accept that has found open < max (Enter)
//   open -> open - 1   a connection that nobody uses any more (Leave); max -> max - 1 then wakes the accept
//
// An accept that finds the limit reached waits in the write side of its listener, which has no other use. The connection that leaves a full
// limit makes that side ready. Readiness stays until a waiter takes it, so it does not matter whether the accept has parked yet. An accept
// that pauses in a shortage takes it first, because the connection which the poller has refused has made it.

/// <summary>
/// How many connections of a listener may be open. The listener and its connections share it through their <see cref="SocketNetwork"/>, so
/// a connection needs no field for it. Safe from any thread.
/// </summary>
internal sealed class ConnLimit(NetListenFd listener, int max)
{
    // Atomic: the open connections. Only an accept adds one, under the listener's read lock, after it has looked. So it never exceeds max.
    private int _open;

    public bool IsReached => Volatile.Read(ref _open) >= max;

    public void Enter() => Interlocked.Increment(ref _open);

    public void Leave()
    {
        if (Interlocked.Decrement(ref _open) == max - 1) listener.MakeReady(Direction.Write);
    }
}
