namespace Poller.Net;

/// <summary>Nobody interrupts a thread here.</summary>
internal static class Uninterrupted
{
    public static Lock.Scope Hold(this Lock toEnter) => toEnter.EnterScope();

    public static TResult Run<TState, TResult>(TState state, Func<TState, TResult> action) => action(state);
}
