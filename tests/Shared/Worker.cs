using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Poller.Tests.Shared;

/// <summary>A thread of a test's own: a poll that blocks takes no thread-pool thread, and what it throws reaches the test.</summary>
internal sealed unsafe partial class Worker
{
    /// <summary>How long a test waits for what has to happen. Only a failing test waits so long.</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromMinutes(1);

    private readonly TaskCompletionSource _started = new();
    private readonly TaskCompletionSource _finished = new();
    private readonly TaskCompletionSource _mayExit = new();
    private readonly Thread _thread;
    private ExceptionDispatchInfo? _error;
    private string _stat = "";
    private nint _self;

    private Worker(Action action, bool signalsBlocked)
    {
        RuntimeHelpers.PrepareDelegate(action); // AwaitSleep cannot tell the thread's wait from one for the JIT compiler.
        _thread = new Thread(() =>
        {
            if (signalsBlocked) BlockSignals();
            _self = pthread_self();
            _stat = File.ResolveLinkTarget("/proc/thread-self", returnFinalTarget: false)!.FullName + "/stat";
            _started.SetResult();
            try
            {
                action();
            }
#pragma warning disable CA1031 // Join throws it again, whatever it is.
            catch (Exception error)
#pragma warning restore CA1031
            {
                _error = ExceptionDispatchInfo.Capture(error);
            }
            _finished.SetResult();
            _mayExit.Task.Wait(Bound);
        })
        { IsBackground = true };
        _thread.Start();
        _started.Task.Wait();
    }

    public static Worker Start(Action action) => new(action, signalsBlocked: false);

    /// <summary>On a thread that no signal interrupts: what ends a wait there is its time-out, a Break or an event.</summary>
    public static Worker StartUninterrupted(Action action) => new(action, signalsBlocked: true);

    public static void RunUninterrupted(Action action) => StartUninterrupted(action).Join();

    public bool HasFinished => _finished.Task.IsCompleted;

    public bool HasFinishedWithin(TimeSpan time) => _finished.Task.Wait(time);

    public void Join()
    {
        if (!_finished.Task.Wait(Bound)) throw new TimeoutException($"a thread of the test still ran after {Bound.TotalSeconds} s");
        _mayExit.SetResult();
        _thread.Join();
        _error?.Throw();
    }

    /// <summary>Returns once the thread sleeps in the kernel, or has finished.</summary>
    public void AwaitSleep()
    {
        if (!SpinWait.SpinUntil(() => HasFinished || IsAsleep(), Bound)) throw new TimeoutException("the thread never blocked");

        bool IsAsleep()
        {
            // "1234 (name) S …": the name may hold anything, brackets too.
            string stat = File.ReadAllText(_stat);
            return stat[stat.LastIndexOf(')') + 2] == 'S';
        }
    }

    /// <summary>Interrupts the system call the thread is in.</summary>
    public void Interrupt(int signal)
    {
        // The thread outlives its action until Join, so the identity is valid.
        int errno = pthread_kill(_self, signal);
        if (errno != 0) throw new InvalidOperationException("pthread_kill: " + Marshal.GetPInvokeErrorMessage(errno));
    }

    private static void BlockSignals()
    {
        const int Block = 0;
        ReadOnlySpan<int> faults = [4, 5, 6, 7, 8, 11]; // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: the runtime's own.
        byte* set = stackalloc byte[128];
        int errno = sigfillset(set);
        foreach (int fault in faults) errno |= sigdelset(set, fault);
        errno |= pthread_sigmask(Block, set, null);
        if (errno != 0) throw new InvalidOperationException("the thread's signals could not be blocked");
    }

    [LibraryImport("libc")]
    private static partial nint pthread_self();

    [LibraryImport("libc")]
    private static partial int pthread_kill(nint thread, int signal);

    [LibraryImport("libc")]
    private static partial int sigfillset(void* set);

    [LibraryImport("libc")]
    private static partial int sigdelset(void* set, int signal);

    [LibraryImport("libc")]
    private static partial int pthread_sigmask(int how, void* set, void* old);
}
