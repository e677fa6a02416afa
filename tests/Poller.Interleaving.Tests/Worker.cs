namespace Poller.Interleaving.Tests;

/// <summary>The real thread that runs the controlled threads of one index, in one run after the other.</summary>
internal sealed class Worker
{
    private const int Most = 8;

    private static readonly Worker[] All = [.. Enumerable.Range(0, Most).Select(static index => new Worker(index))];

    private readonly Gate _started = new();

    private Worker(int index)
    {
        new System.Threading.Thread(Serve) { IsBackground = true, Name = $"controlled {index}" }.UnsafeStart();
        _started.Wait();
    }

    public static IEnumerable<int> ThreadIds => All.Select(static worker => worker.ThreadId);

    public Gate Gate { get; } = new();

    /// <summary>The thread to run when the gate opens for the first time in a run.</summary>
    public ControlledThread? Thread { get; set; }

    private int ThreadId { get; set; }

    /// <summary>The worker of one index. There is one run at a time.</summary>
    public static Worker Of(int index) =>
        index < Most ? All[index] : throw new ArgumentOutOfRangeException(nameof(index), index, $"at most {Most} threads were expected.");

    private void Serve()
    {
        ThreadId = OneCpu.ThreadId();
        _started.Open();
        while (true)
        {
            Gate.Wait();
            Thread!.RunBody();
        }
    }
}

/// <summary>Passes the baton to the one thread that waits here, or will soon wait.</summary>
internal sealed class Gate
{
    private bool _isOpen;

    public void Open()
    {
        lock (this)
        {
            _isOpen = true;
            System.Threading.Monitor.Pulse(this);
        }
    }

    public void Wait()
    {
        lock (this)
        {
            while (!_isOpen) System.Threading.Monitor.Wait(this);
            _isOpen = false;
        }
    }
}
