using System.Diagnostics.CodeAnalysis;
using Poller.Interleaving.Tests;

namespace System.Collections.Concurrent;

/// <summary>Each operation is a scheduling point and a full fence.</summary>
internal sealed class ConcurrentQueue<T>
{
    private readonly Queue<T> _items = [];

    public void Enqueue(T item)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Enqueue", "", "", 0));
        _items.Enqueue(item);
        self?.Fence();
    }

    public bool TryDequeue([MaybeNullWhen(false)] out T result)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Dequeue", "", "", 0));
        bool found = _items.TryDequeue(out result);
        self?.Fence();
        self?.TraceResult(found);
        return found;
    }
}
