namespace Poller.Net;

// The twin of injectglist in Go's runtime/proc.go: waiters that became runnable outside of a poll, on their way to the loop.

/// <summary>A queue. Any thread may push to it, and any thread may take all of it. Do not copy it.</summary>
internal struct InjectedQueue
{
    // Atomic. The list begins with the waiter that was pushed last.
    private PollWaiter? _head;

    public bool IsEmpty => Volatile.Read(ref _head) is null;

    public void Push(PollWaiter waiter)
    {
        PollWaiter? head = Volatile.Read(ref _head);
        while (true)
        {
            waiter.Next = head;
            PollWaiter? seen = Interlocked.CompareExchange(ref _head, waiter, head);
            if (seen == head) return;
            head = seen;
        }
    }

    /// <summary>Takes all waiters. They are linked in the order in which they came.</summary>
    public PollWaiter? TakeAll()
    {
        if (IsEmpty) return null;
        PollWaiter? stack = Interlocked.Exchange(ref _head, null);
        PollWaiter? list = null;
        while (stack is not null)
        {
            PollWaiter? next = stack.Next;
            stack.Next = list;
            list = stack;
            stack = next;
        }
        return list;
    }
}
