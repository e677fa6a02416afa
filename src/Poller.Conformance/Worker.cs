using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Poller.Conformance;

/// <summary>A test's own thread. A poll that blocks there holds no thread-pool thread, and its exceptions reach the test.</summary>
internal sealed unsafe class Worker
{
    /// <summary>How long a test waits for something that must happen. Only a failing test waits so long.</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private readonly TaskCompletionSource _started = new();
    private readonly TaskCompletionSource _finished = new();
    private readonly TaskCompletionSource _mayExit = new();
    private readonly Thread _thread;
    private readonly string _task;
    private ExceptionDispatchInfo? _error;
    private string? _stat;
    private nint _self;

    private Worker(string task, Action action, bool signalsBlocked)
    {
        _task = task;
        RuntimeHelpers.PrepareDelegate(action); // AwaitSleep cannot tell the thread's wait from one for the JIT compiler.
        _thread = new Thread(() =>
        {
            if (signalsBlocked) BlockSignals();
            _self = LibC.pthread_self();
            if (OperatingSystem.IsLinux())
            {
                _stat = File.ResolveLinkTarget("/proc/thread-self", returnFinalTarget: false)!.FullName + "/stat";
            }
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

    /// <summary>Starts a thread.</summary>
    /// <param name="task">The thread's task, as a phrase that can follow "to".</param>
    /// <param name="action">The task's code.</param>
    public static Worker Start(string task, Action action) => new(task, action, signalsBlocked: false);

    /// <summary>Runs on a thread that no signal interrupts, so only a time-out, a Break or an event ends a wait there.</summary>
    public static Worker StartUninterrupted(string task, Action action) => new(task, action, signalsBlocked: true);

    public static void RunUninterrupted(string task, Action action) => StartUninterrupted(task, action).Join();

    public bool HasFinished => _finished.Task.IsCompleted;

    public bool HasFinishedWithin(TimeSpan time) => _finished.Task.Wait(time);

    public void Join()
    {
        if (!_finished.Task.Wait(Bound)) throw Late($"still ran after {Bound.TotalSeconds} s");
        _mayExit.SetResult();
        _thread.Join();
        _error?.Throw();
    }

    /// <summary>
    /// Returns once the thread sleeps in the kernel, or has finished. If the system cannot tell, it waits long enough for that.
    /// </summary>
    public void AwaitSleep()
    {
        if (_stat is null)
        {
            HasFinishedWithin(TimeSpan.FromMilliseconds(50));
            return;
        }
        if (!SpinWait.SpinUntil(() => HasFinished || IsAsleep(), Bound)) throw Late("never blocked");

        bool IsAsleep()
        {
            // The line is "1234 (name) S …". The name may contain anything, including brackets.
            string stat = File.ReadAllText(_stat);
            return stat[stat.LastIndexOf(')') + 2] == 'S';
        }
    }

    /// <summary>Interrupts the system call that the thread is in.</summary>
    public void Interrupt(int signal)
    {
        // The thread lives until Join, so its identity is valid.
        int errno = LibC.pthread_kill(_self, signal);
        if (errno != 0) throw new InvalidOperationException("pthread_kill: " + Marshal.GetPInvokeErrorMessage(errno));
    }

    private TimeoutException Late(string what) => new($"the thread that was to {_task} {what}");

    private static void BlockSignals()
    {
        ReadOnlySpan<int> faults = [4, 5, 6, LibC.SIGBUS, 8, 11]; // SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV: the runtime's own.
        byte* set = stackalloc byte[128];
        int errno = LibC.sigfillset(set);
        foreach (int fault in faults) errno |= LibC.sigdelset(set, fault);
        errno |= LibC.pthread_sigmask(LibC.SIG_BLOCK, set, null);
        if (errno != 0) throw new InvalidOperationException("the thread's signals could not be blocked");
    }
}
