using System.Collections.Concurrent;

namespace Poller.Torture;

/// <summary>Threads that cancel, close and move deadlines beside what others do. Safe from any thread.</summary>
internal sealed class Chaos : IDisposable
{
    private const int Threads = 2;
    private const int Capacity = 256; // Beyond it an action runs on its caller's thread, at once.
    private const int MaxSpins = 2000; // Some tens of µs: about as long as an operation takes.

    private readonly BlockingCollection<(Action Action, int Spins)> _actions = new(Capacity);
    private readonly Thread[] _threads;

    public Chaos(Action<Exception> fail)
    {
        _threads = [.. Enumerable.Range(0, Threads).Select(_ => new Thread(Serve) { IsBackground = true, Name = "chaos" })];
        foreach (Thread thread in _threads) thread.Start();

        void Serve()
        {
            try
            {
                foreach ((Action action, int spins) in _actions.GetConsumingEnumerable())
                {
                    Thread.SpinWait(spins);
                    action();
                }
            }
#pragma warning disable CA1031 // Whatever an action throws is the run's failure.
            catch (Exception e)
#pragma warning restore CA1031
            {
                fail(e);
            }
        }
    }

    /// <summary>Runs an action on a thread of its own, soon.</summary>
    public void Soon(Action action, Random random)
    {
        if (!_actions.TryAdd((action, random.Next(MaxSpins)))) action();
    }

    /// <summary>As <see cref="Soon"/>. Completes after the action.</summary>
    public Task SoonAsync(Action action, Random random)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Soon(() =>
        {
            action();
            done.SetResult();
        }, random);
        return done.Task;
    }

    public void Dispose()
    {
        _actions.CompleteAdding();
        foreach (Thread thread in _threads) thread.Join();
        _actions.Dispose();
    }
}
