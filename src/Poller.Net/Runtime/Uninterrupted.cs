namespace Poller.Net;

// Thread.Interrupt may end a thread's wait for readiness, or for its turn. It must not end a wait for a lock of the library or of a
// backend: the thread may be handing on a lock of FdMutex or waking another thread, and nobody else would do that. Go has no twin, because
// nothing interrupts a goroutine.

/// <summary>
/// Enters locks in spite of an interrupt, which is left for the thread's next wait. Only threads that wait may be interrupted.
/// </summary>
internal static class Uninterrupted
{
    /// <summary>Enters a lock; the caller leaves it by the scope.</summary>
    public static Lock.Scope Hold(this Lock toEnter) => Run(toEnter, static toEnter => toEnter.EnterScope());

    /// <summary>As Monitor.Enter.</summary>
    public static void Enter(object monitor) => Run(monitor, static monitor =>
    {
        Monitor.Enter(monitor);
        return true;
    });

    /// <summary>Calls an action, and calls it again if an interrupt has ended its wait for a lock, before it has done anything.</summary>
    public static TResult Run<TState, TResult>(TState state, Func<TState, TResult> action)
        where TResult : allows ref struct
    {
        bool interrupted = false;
        while (true)
        {
            try
            {
                TResult result = action(state);
                if (interrupted) Thread.CurrentThread.Interrupt();
                return result;
            }
            catch (ThreadInterruptedException)
            {
                interrupted = true;
            }
        }
    }
}
