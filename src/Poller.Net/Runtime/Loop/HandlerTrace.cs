using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Poller.Net;

// What is known of a handler that runs: its descriptor, and what goes on. That is enough to name it later (HandlerNames).
//
// What goes on after the await of an async method is an object, its box, which holds the method's state machine. If another method awaits
// the first one, its box is the continuation of the first box, and so on. As boxes complete, they forget who awaited them. So we note the
// first few before they run.
//
// The fields that we read are the runtime's own; debuggers rely on them too. UnsafeAccessor finds them without reflection, so trimming and
// NativeAOT keep them. If a later runtime has none of that name, we name the first box alone.

/// <summary>The handler that a thread runs. Do not keep it: it would keep the handler alive.</summary>
internal struct HandlerTrace
{
    // A user's method that awaits a reader of the BCL, which awaits two methods of its own, is the fourth. Each costs some nanoseconds.
    private const int Depth = 4;

    private const string PooledBox =
        "System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder`1+StateMachineBox[[System.Int32, System.Private.CoreLib]], "
        + "System.Private.CoreLib";

    [InlineArray(Depth)]
    private struct Boxes
    {
        private object? _first;
    }

    private static readonly Type? TypeOfPooledBox = Type.GetType(PooledBox);

    // A racy write does no harm: every writer finds the same.
    private static bool _cannotFollow;

    private Boxes _boxes;

    /// <summary>The descriptor whose operation the handler awaited; null if no handler runs.</summary>
    public PollFd? Fd { get; private set; }

    /// <summary>What the operation calls when it is done.</summary>
    public Action<object?>? Continuation { get; private set; }

    /// <summary>What goes on: the box that runs first, before those that await it. The rest is null.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<object?> Chain => _boxes;

    /// <summary>Notes the handler that runs now.</summary>
    public void Set(PollFd fd, Action<object?> continuation, object? state)
    {
        Fd = fd;
        Continuation = continuation;
        for (int i = 0; i < Depth && state is not null; i++)
        {
            _boxes[i] = state;
            state = AwaiterOf(state);
        }
    }

    /// <summary>Forgets the handler.</summary>
    public void Clear()
    {
        if (Fd is not null) this = default;
    }

    private static object? AwaiterOf(object box)
    {
        if (_cannotFollow) return null;
        try
        {
            // Reads of the BCL, such as Stream.ReadExactlyAsync, have boxes that are no Task.
            return box is Task task ? ContinuationOf(task)
                : box is IValueTaskSource<int> && box.GetType().BaseType == TypeOfPooledBox ? Pooled<int>.AwaiterOf(box)
                : null;
        }
        catch (Exception e) when (e is MissingMemberException or TypeLoadException)
        {
            _cannotFollow = true;
            return null;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "m_continuationObject")]
    private static extern ref object? ContinuationOf(Task task);

    private static class Pooled<T>
    {
        public static object? AwaiterOf(object box) => StateOf(ref SourceOf(box));

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_valueTaskSource")]
        private static extern ref ManualResetValueTaskSourceCore<T> SourceOf(
            [UnsafeAccessorType(
                "System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder`1+StateMachineBox[[!0]], System.Private.CoreLib")]
            object box);

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_continuationState")]
        private static extern ref object? StateOf(ref ManualResetValueTaskSourceCore<T> source);
    }
}
