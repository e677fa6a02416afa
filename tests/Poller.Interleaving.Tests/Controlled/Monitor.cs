using System.Runtime.CompilerServices;

namespace Poller.Interleaving.Tests.Controlled;

/// <summary>
/// Waits and pulses under a <c>lock</c> statement on an object. The statement itself is not controlled, so no other thread may run inside
/// of it: a pulse is no scheduling point, and a wait leaves the lock before its own.
/// </summary>
public static class Monitor
{
    private static readonly ConditionalWeakTable<object, StrongBox<bool>> Pulses = [];

    public static bool Wait(object obj) => Wait(obj, Timeout.InfiniteTimeSpan);

    /// <summary>Unless the time-out is infinite, the scheduler decides when the time is over.</summary>
    public static bool Wait(object obj, TimeSpan timeout)
    {
        StrongBox<bool> pulse = Pulses.GetOrCreateValue(obj);
        pulse.Value = false;
        System.Threading.Monitor.Exit(obj);
        try
        {
            if (timeout == Timeout.InfiniteTimeSpan) ControlledThread.WaitUntil(() => pulse.Value, new Site("Wait", "for a pulse", "", 0));
            else ControlledThread.Step(new Site("Wait", $"for a pulse, for {timeout}", "", 0))?.Fence();
            return pulse.Value;
        }
        finally
        {
            System.Threading.Monitor.Enter(obj);
        }
    }

    public static void Pulse(object obj) => Pulses.GetOrCreateValue(obj).Value = true;
}
