namespace Poller.Interleaving.Tests;

/// <summary>Faults to put into the sources, which the scenarios must find. Most are one line that someone might write.</summary>
internal static class Mutations
{
    public static IReadOnlyList<Mutation> All { get; } =
    [
        // PollDesc: publish first, then look.
        new(
            "a close is published after the unblock",
            "PollDesc.cs",
            """
                    Interlocked.Or(ref _info, ClosingFlag);
                    reader = Unblock(Direction.Read, Nil);
                    writer = Unblock(Direction.Write, Nil);
            """,
            """
                    reader = Unblock(Direction.Read, Nil);
                    writer = Unblock(Direction.Write, Nil);
                    Interlocked.Or(ref _info, ClosingFlag);
            """,
            "wait ‖ close"),
        new(
            "a deadline is published after the unblock",
            "PollDesc.cs",
            """
                    Interlocked.Or(ref _info, direction == Direction.Read ? ReadExpired : WriteExpired);
                    return Unblock(direction, Nil);
            """,
            """
                    PollWaiter? waiter = Unblock(direction, Nil);
                    Interlocked.Or(ref _info, direction == Direction.Read ? ReadExpired : WriteExpired);
                    return waiter;
            """,
            "set deadline ‖ timer fires"),
        new(
            "no look for closing and deadline after announcing",
            "PollDesc.cs",
            "if (Check(direction).IsSuccess && !waiter.IsCanceled)",
            "if (!waiter.IsCanceled)",
            "wait ‖ close",
            "set deadline ‖ timer fires"),
        new(
            "no look for the cancellation after announcing",
            "PollDesc.cs",
            "if (Check(direction).IsSuccess && !waiter.IsCanceled)",
            "if (Check(direction).IsSuccess)",
            "cancel ‖ wait"),
        new(
            "the cancellation is published by a store, not an exchange",
            "PollWaiter.cs",
            "Interlocked.Exchange(ref _canceled, value)",
            "Volatile.Write(ref _canceled, value)",
            "cancel ‖ wait",
            "queue ‖ cancel"),

        new(
            "an error is forgotten before the next one is told to pass",
            "PollDesc.cs",
            """
                    Interlocked.Or(ref _info, ErrorPassesFlag);
                    Interlocked.And(ref _info, ~EventError); // No event sets it after the first step.
            """,
            """
                    Interlocked.And(ref _info, ~EventError);
                    Interlocked.Or(ref _info, ErrorPassesFlag);
            """,
            "error ‖ let errors pass ‖ wait"),

        // PollCache: the watch for the hang-up.
        new(
            "no look for the hang-up before the watch is stored",
            "PollCache.cs",
            "if (desc.HangupSeen || desc.IsClosing) return watch;",
            "if (desc.IsClosing) return watch;",
            "hang-up ‖ watch"),
        new(
            "no look for the close before the watch is stored",
            "PollCache.cs",
            "if (desc.HangupSeen || desc.IsClosing) return watch;",
            "if (desc.HangupSeen) return watch;",
            "stop ‖ watch"),
        new(
            "the watch is read and not taken out",
            "PollCache.cs",
            """
                        watches[desc.Slot] = null;
                        return watch;
            """,
            """
                        return watch;
            """,
            "hang-up ‖ stop ‖ watch"),

        // PollDesc: the states of a side.
        new(
            "readiness does not survive a deadline, a close, a cancellation",
            "PollDesc.cs",
            "if (old == Ready) return null; // Readiness",
            "if (old == Ready && to == Ready) return null; // Readiness",
            "ready ‖ wait ‖ deadline",
            "ready ‖ wait ‖ close",
            "cancel ‖ ready ‖ wait"),
        new(
            "a side is unblocked by a store, not an exchange",
            "PollDesc.cs",
            "if (Interlocked.CompareExchange(ref side.State, to, old) == old) return old == Parked ? side.Waiter : null;",
            "Volatile.Write(ref side.State, to); return old == Parked ? side.Waiter : null;",
            "ready ‖ wait",
            "cancel ‖ ready ‖ wait"),
        new(
            "a wait that ended reads the state and then writes it",
            "PollDesc.cs",
            "int old = Interlocked.Exchange(ref side.State, Nil);",
            "int old = Volatile.Read(ref side.State); Volatile.Write(ref side.State, Nil);",
            "ready ‖ wait ‖ deadline",
            "cancel ‖ ready ‖ wait"),
        new(
            "the waiter parks by a store, not an exchange",
            "PollDesc.cs",
            "if (Interlocked.CompareExchange(ref side.State, Parked, Wait) == Wait) return PollPark.Parked;",
            "Volatile.Write(ref side.State, Parked); return PollPark.Parked;",
            "ready ‖ wait",
            "wait ‖ close"),
        new(
            "the hang-up flag is set after the side is ready",
            "PollDesc.cs",
            "        PollReadiness readiness = found.Readiness;",
            """
                    PollReadiness readiness = found.Readiness;
                    if (found.Token.Sequence == Token.Sequence)
                    {
                        if ((readiness & PollReadiness.Readable) != 0) reader = Unblock(Direction.Read, Ready);
                        if ((readiness & PollReadiness.Writable) != 0) writer = Unblock(Direction.Write, Ready);
                        readiness &= ~(PollReadiness.Readable | PollReadiness.Writable);
                    }
            """,
            "hang-up ‖ wait"),

        new(
            "an operation is prepared by a store, not an exchange",
            "PollDesc.cs",
            "if (Volatile.Read(ref state) != Nil) Interlocked.Exchange(ref state, Nil);",
            "if (Volatile.Read(ref state) != Nil) Volatile.Write(ref state, Nil);",
            "ready ‖ read that resets"),

        // PollDesc: its lives.
        new(
            "fdseq is not bumped when a desc is freed",
            "PollDesc.cs",
            "(uint)(Volatile.Read(ref _info) >> SequenceShift) + 1;",
            "(uint)(Volatile.Read(ref _info) >> SequenceShift);",
            "reuse ‖ stale event"),
        new(
            "a stale event is not dropped",
            "PollDesc.cs",
            "if ((uint)(info >> SequenceShift) != found.Token.Sequence) return;",
            "",
            "reuse ‖ stale event"),
        new(
            "an event's flags are stored over whatever the word holds by now",
            "PollDesc.cs",
            "if (next == info || Interlocked.CompareExchange(ref _info, next, info) == info) break;",
            "Interlocked.Exchange(ref _info, next); break;",
            "reuse ‖ stale event"),

        // PollDeadlines and PollTimers.
        new(
            "a timer that fires early is not armed again",
            "PollTimers.cs",
            "if (next == Never)",
            "if (next > 0)",
            "set deadline ‖ timer fires"),
        new(
            "a timer that fires is armed for the time-out though the deadline is earlier",
            "PollDeadlines.cs",
            "next = Math.Min(next, when);",
            "next = when;",
            "operation begins ‖ set deadline ‖ timer fires"),
        new(
            "a deadline passes by a store, not an exchange",
            "PollDeadlines.cs",
            "if (Interlocked.CompareExchange(ref limit, Past, when) == when) return true;",
            "Volatile.Write(ref limit, Past); return true;",
            "prolong deadline ‖ timer fires",
            "operation begins ‖ timer fires"),
        new(
            "a deadline is prolonged by a store, not an exchange",
            "PollDeadlines.cs",
            "Interlocked.CompareExchange(ref limit, when, old) == old;",
            "Interlocked.Exchange(ref limit, when) != 0;",
            "prolong deadline ‖ timer fires",
            "operation begins ‖ timer fires"),
        new(
            "a deadline that has passed is forgotten as an operation begins",
            "PollTimers.cs",
            "if (!deadlines.HasPassed(direction)) desc.Unexpire(direction);",
            "desc.Unexpire(direction);",
            "operation begins ‖ set deadline ‖ timer fires"),
        new(
            "a time-out that has passed is not taken back as an operation begins",
            "PollTimers.cs",
            "if (!deadlines.HasPassed(direction)) desc.Unexpire(direction);",
            "",
            "operation begins ‖ timer fires",
            "time-out passes ‖ prolong deadline"),
        new(
            "an operation's time-out does not move the timer",
            "PollTimers.cs",
            """
                        if (!deadlines.HasPassed(direction)) desc.Unexpire(direction);
                        Arm(deadlines, direction, when);
            """,
            """
                        if (!deadlines.HasPassed(direction)) desc.Unexpire(direction);
            """,
            "operation begins ‖ timer fires"),
        new(
            "a deadline that was cleared expires",
            "PollTimers.cs",
            "if (passed && deadlines.Desc.Expire(direction) is { } waiter)",
            "if (deadlines.Desc.Expire(direction) is { } waiter)",
            "clear deadline ‖ timer fires"),
        new(
            "a close leaves the timers armed",
            "PollTimers.cs",
            "if (deadlines.TimerIndexOf(direction) != 0) Remove(deadlines, direction);",
            "",
            "close ‖ timer fires"),

        // FdMutex.
        new(
            "a close does not send off those who queue for the read lock",
            "FdMutex.cs",
            "if ((old & (ReadWaits | WriteWaits)) != 0) sentOff = QueuesHere().SendOff();",
            "",
            "close ‖ read lock ‖ read lock"),
        new(
            "the descriptor is destroyed one reference too early",
            "FdMutex.cs",
            "long next = old - Reference;\n            "
            + "if (Interlocked.CompareExchange(ref _state, next, old) == old) return (next & (ClosedBit | References)) == ClosedBit;",
            "long next = old - Reference;\n            "
            + "if (Interlocked.CompareExchange(ref _state, next, old) == old) "
            + "return (next & (ClosedBit | References)) == (ClosedBit | Reference);",
            "close ‖ operation ‖ operation",
            "close ‖ close ‖ read lock"),
        new(
            "a lock that is handed over leaves the one who has it counted as queuing",
            "FdMutex.cs",
            "if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) break;",
            "break;",
            "three read locks",
            "unlock ‖ queued locker leaves"),
        new(
            "an unlock is a store, not an exchange",
            "FdMutex.cs",
            """
                        long next = (old & ~bit) - Reference;
                        if (Interlocked.CompareExchange(ref _state, next, old) == old) return
            """,
            """
                        long next = (old & ~bit) - Reference;
                        Volatile.Write(ref _state, next);
                        return
            """,
            "three read locks",
            "unlock ‖ queued locker leaves"),
        new(
            "two make the queue",
            "FdMutex.cs",
            "return Interlocked.CompareExchange(ref _queues, made, null) ?? made;",
            "Volatile.Write(ref _queues, made); return made;",
            "three read locks"),
        new(
            "one who leaves the queue stays counted",
            "FdMutex.cs",
            "if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) return true;",
            "return true;",
            "unlock ‖ queued locker leaves"),

        new(
            "one who does not queue any more leaves the queue",
            "FdMutex.cs",
            "if (waiter.LockState != FdLock.Queued) return false;",
            "if (waiter.LockState == FdLock.Busy) return false;",
            "unlock ‖ queued locker leaves",
            "close ‖ queued locker leaves"),
        new(
            "one who is handed the lock is not told so",
            "FdMutex.cs",
            "first.LockState = FdLock.Acquired;",
            "",
            "three read locks"),

        // PollOp.
        new(
            "an operation that is done says so by a store, not an exchange",
            "PollOp.cs",
            "Volatile.Read(ref _continuation) ?? Interlocked.CompareExchange(ref _continuation, Done, null);",
            "Volatile.Read(ref _continuation); if (continuation is null) Volatile.Write(ref _continuation, Done);",
            "operation completes ‖ awaiter"),
        new(
            "an awaiter attaches by a store, not an exchange",
            "PollOp.cs",
            "Action<object?>? found = Interlocked.CompareExchange(ref _continuation, continuation, null);",
            "Action<object?>? found = Volatile.Read(ref _continuation); Volatile.Write(ref _continuation, continuation);",
            "operation completes ‖ awaiter"),
        new(
            "an awaiter that comes late goes on on its own stack",
            "PollOp.cs",
            """
                    _step = Step.Continue;
                    Fd.Schedule(this);
            """,
            """
                    _step = Step.Continue;
                    Execute();
            """,
            "operation completes ‖ awaiter"),
        new(
            "an awaiter that comes late is forgotten",
            "PollOp.cs",
            """
                    _step = Step.Continue;
                    Fd.Schedule(this);
            """,
            "",
            "operation completes ‖ awaiter"),
        new(
            "an awaiter is told that an operation is done before whoever completes it has looked for the awaiter",
            "PollOp.cs",
            "Volatile.Read(ref _continuation) is not null && Volatile.Read(ref _completed);",
            "Volatile.Read(ref _completed);",
            "operation completes ‖ awaiter begins anew"),
        new(
            "an operation is done before its result is there",
            "PollOp.cs",
            """
                    Volatile.Write(ref _completed, true);
                    Action<object?>? continuation =
            """,
            """
                    Action<object?>? continuation =
            """,
            "operation completes ‖ awaiter"),

        new(
            "an accept that pauses waits in its own side",
            "PollOp.cs",
            "park = Fd.Park(side, this);",
            "park = Fd.Park(Direction, this);",
            "accept pauses ‖ cancel",
            "accept pauses ‖ pause ends"),
        new(
            "an accept whose pause ends as it begins waits again",
            "PollOp.cs",
            """
                                parkFirst = side == Direction;
            """,
            """
                                parkFirst = true;
            """,
            "accept pauses ‖ pause ends"),
        new(
            "an operation tries before it prepares",
            "PollOp.cs",
            """
                        ready = Fd.Prepare(Direction);
                    }
            """,
            """
                        if (Try(ref _outcome) is { IsSuccess: true } early)
                        {
                            Complete(early);
                            return;
                        }
                        ready = Fd.Prepare(Direction);
                        if (ready.IsSuccess)
                        {
                            Advance(parkFirst: true);
                            return;
                        }
                    }
            """,
            "wait for a library ‖ ready"),
        new(
            "an operation waits for an edge before it tries",
            "PollOp.cs",
            "if (ready.IsSuccess) Advance(parkFirst: false);",
            "if (ready.IsSuccess) Advance(parkFirst: true);",
            "wait for a library ‖ ready"),
        new(
            "an operation that was woken completes without a try",
            "PollOp.cs",
            "if (Fd.Consume(side)) Advance(parkFirst: false);",
            "if (Fd.Consume(side)) Complete(0);",
            "wait for a library ‖ ready"),

        // ReadyBatch.
        new(
            "a batch is claimed by a store, not an exchange",
            "ReadyBatch.cs",
            "if (Interlocked.CompareExchange(ref _word, word + (1UL << Bits), word) == word)",
            "Volatile.Write(ref _word, word + (1UL << Bits));",
            "claim ‖ claim",
            "fill ‖ claim",
            "leader promoted ‖ old leader claims"),
        new(
            "a batch does not change its epoch",
            "ReadyBatch.cs",
            "(((_word >> (2 * Bits)) + 1) << (2 * Bits))",
            "((_word >> (2 * Bits)) << (2 * Bits))",
            "fill ‖ claim"),
        new(
            "the item is read after it is claimed",
            "ReadyBatch.cs",
            """
                            return waiter is not null ?
            """,
            """
                            waiter = Volatile.Read(ref Volatile.Read(ref _items)[head]);
                            return waiter is not null ?
            """,
            "fill ‖ claim"),

        // InjectedQueue.
        new(
            "a waiter is pushed by a store, not an exchange",
            "InjectedQueue.cs",
            "PollWaiter? seen = Interlocked.CompareExchange(ref _head, waiter, head);",
            "Volatile.Write(ref _head, waiter); PollWaiter? seen = head;",
            "push ‖ push ‖ take all"),
        new(
            "the queue is read and then emptied",
            "InjectedQueue.cs",
            "PollWaiter? stack = Interlocked.Exchange(ref _head, null);",
            "PollWaiter? stack = Volatile.Read(ref _head); Volatile.Write(ref _head, null);",
            "push ‖ push ‖ take all"),

        // PollLoop: sleep.
        new(
            "the leader announces its sleep by a store, not an exchange",
            "PollLoop.cs",
            "Interlocked.Exchange(ref _sleepUntil, PollTimers.Never);",
            "Volatile.Write(ref _sleepUntil, PollTimers.Never);",
            "schedule ‖ leader sleeps"),
        new(
            "the leader does not look for work after announcing its sleep",
            "PollLoop.cs",
            "if (!_injected.IsEmpty || IsStopping) return 0;",
            "if (IsStopping) return 0;",
            "schedule ‖ leader sleeps"),
        new(
            "no fence between setting a deadline and looking whether the leader sleeps",
            "PollLoop.cs",
            """
                    Interlocked.MemoryBarrier();
                    if (Timers.Next <
            """,
            """
                    if (Timers.Next <
            """,
            "set deadline ‖ leader sleeps"),
        new(
            "the loop stops and its leader is not woken",
            "PollLoop.cs",
            """
                    Threads.Stop();
                    Wake();
            """,
            """
                    Threads.Stop();
            """,
            "schedule ‖ stop",
            "helper leads ‖ stop"),
        new(
            "what is scheduled while the loop stops is not looked for",
            "PollLoop.cs",
            "        if (IsStopping) AddAll(_injected.TakeAll());",
            "",
            "schedule ‖ stop"),

        // PollLoop: a backend that fails.
        new(
            "an operation that meets the disposed backend does not ask why the loop ended",
            "PollLoop.cs",
            "if (e is ObjectDisposedException) ThrowIfStopping();",
            "",
            "operation begins ‖ backend fails"),
        new(
            "a desc is marked as failed after it is evicted",
            "PollLoop.cs",
            """
                        if (Failure is not null) desc.MarkFailed();
                        Evict(desc);
            """,
            """
                        Evict(desc);
                        if (Failure is not null) desc.MarkFailed();
            """,
            "operation begins ‖ backend fails"),
        new(
            "the loop is stopped before its failure is known",
            "PollLoop.cs",
            "if (Interlocked.CompareExchange(ref _failure, failure, null) is null)",
            "Stop(); if (Interlocked.CompareExchange(ref _failure, failure, null) is null)",
            "operation begins ‖ backend fails"),
        new(
            "the backend's failure is noted by a store, not an exchange",
            "PollLoop.cs",
            """
                    if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
                    {
            """,
            """
                    if (Volatile.Read(ref _failure) is null)
                    {
                        Volatile.Write(ref _failure, failure);
            """,
            "schedule ‖ backend fails"),
        new(
            "only the first failure stops the loop",
            "PollLoop.cs",
            """
                    if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
                    {
            """,
            """
                    if (Interlocked.CompareExchange(ref _failure, failure, null) is not null) return;
                    {
            """,
            "schedule ‖ backend fails"),

        // LoopThreads: what the leader cannot run in place. Nothing of the pool runs in these scenarios before their end.
        new(
            "the leader looks for a place without the lock",
            "LoopThreads.cs",
            """
                    lock (_lock)
                    {
                        if (HasPlace) return false;
                        loop.Overflow.Add(waiter, readyAt);
            """,
            """
                    {
                        if (HasPlace) return false;
                        loop.Overflow.Add(waiter, readyAt);
            """,
            "leader promoted ‖ old leader claims"),
        new(
            "a successor that is not needed gives back its place, and passes nothing on",
            "LoopThreads.cs",
            """
                        else _idle.Add(follower);
                    }
                    FlushOverflow();
            """,
            """
                        else _idle.Add(follower);
                    }
            """,
            "leader promoted ‖ old leader claims"),
        new(
            "a thread that becomes idle gives back its place, and passes nothing on",
            "LoopThreads.cs",
            """
                        _idle.Add(self);
                    }
                    FlushOverflow();
            """,
            """
                        _idle.Add(self);
                    }
            """,
            "leader promoted ‖ old leader claims"),

        // LingeringClose.
        new(
            "a descriptor is closed before it leaves the poller",
            "LingeringClose.cs",
            """
                    _loop.Close(_desc);
                    Close(_api, _loop, fd, linger);
            """,
            """
                    Close(_api, _loop, fd, linger);
                    _loop.Close(_desc);
            """,
            "lingering close ‖ peer ends",
            "lingering close ‖ time passes"),
        new(
            "a close leaves its timer armed",
            "LingeringClose.cs",
            "        _loop.Evict(_desc);",
            "",
            "lingering close ‖ peer ends"),
        new(
            "a close does not see that the loop has stopped",
            "LingeringClose.cs",
            "if (!reason.IsSuccess && reason != IoResult.Timeout)",
            "if (reason == IoResult.NotPollable)",
            "lingering close ‖ stop"),
        new(
            "a close touches its desc after it is parked",
            "LingeringClose.cs",
            "if (park == PollPark.Parked) return;",
            """
            if (park == PollPark.Parked)
                            {
                                _loop.SetDeadline(_desc, PollMode.Read, Math.Min(next, _end));
                                return;
                            }
            """,
            "lingering close ‖ peer ends"),

        // The monitor's sleep.
        new(
            "the leader publishes that it runs by a store, not an exchange",
            "LoopTerms.cs",
            "Interlocked.Exchange(ref _lead, running);",
            "Volatile.Write(ref _lead, running);",
            "leader runs ‖ monitor falls asleep"),
        new(
            "the monitor publishes that it sleeps by a store, not an exchange",
            "Sysmon.cs",
            "Interlocked.Exchange(ref _asleep, 1);",
            "Volatile.Write(ref _asleep, 1);",
            "leader runs ‖ monitor falls asleep"),
        new(
            "the monitor does not look whether a leader runs",
            "Sysmon.cs",
            "if (Array.TrueForAll(loops, static loop => LoopTerms.IsPolling(loop.Terms.Lead))) _noticed.WaitOne(milliseconds);",
            "_noticed.WaitOne(milliseconds);",
            "leader runs ‖ monitor falls asleep"),

        // The net layer.
        new(
            "a connection wakes the accept before it has left",
            "ConnLimit.cs",
            "if (Interlocked.Decrement(ref _open) == max - 1) listener.MakeReady(Direction.Write);",
            """
            if (Volatile.Read(ref _open) == max) listener.MakeReady(Direction.Write);
                    Interlocked.Decrement(ref _open);
            """,
            "accept waits for a place ‖ connection leaves"),
        new(
            "only the last connection that leaves wakes the accept",
            "ConnLimit.cs",
            "if (Interlocked.Decrement(ref _open) == max - 1)",
            "if (Interlocked.Decrement(ref _open) == 0)",
            "accept waits for a place ‖ connection leaves"),
        new(
            "the idle time-out expires a connection before it publishes the end",
            "PollFd.Idle.cs",
            """
                    if (Interlocked.CompareExchange(ref _idle, IdleState.Ended, IdleState.Quiet) != IdleState.Quiet) return false;
                    if (!Incref()) return true;
                    try
                    {
                        ExpireIfIdleEnded();
                    }
            """,
            """
                    if (_idle != IdleState.Quiet) return false;
                    if (!Incref()) return true;
                    try
                    {
                        Loop.SetDeadline(Desc, PollMode.ReadWrite, PollDeadlines.Past);
                        Interlocked.Exchange(ref _idle, IdleState.Ended);
                    }
            """,
            "idle time-out ‖ set deadline"),
        new(
            "an activity is noted by an exchange, not a compare-and-swap",
            "PollFd.Idle.cs",
            "if (_idle == IdleState.Quiet) Interlocked.CompareExchange(ref _idle, IdleState.Active, IdleState.Quiet);",
            "if (_idle == IdleState.Quiet) Interlocked.Exchange(ref _idle, IdleState.Active);",
            "idle time-out ‖ activity"),
        new(
            "the idle time-out ends a connection by an exchange, not a compare-and-swap",
            "PollFd.Idle.cs",
            "if (Interlocked.CompareExchange(ref _idle, IdleState.Ended, IdleState.Quiet) != IdleState.Quiet) return false;",
            "if (Interlocked.Exchange(ref _idle, IdleState.Ended) == IdleState.Ended) return false;",
            "idle time-out ‖ activity"),
        new(
            "whoever leaves last looks, and then stores",
            "SocketEnd.cs",
            "Interlocked.CompareExchange(ref end, SocketEnd.Closed, SocketEnd.Open) != SocketEnd.Detached;",
            "Volatile.Read(ref end) != SocketEnd.Detached && Interlocked.Exchange(ref end, SocketEnd.Closed) != SocketEnd.Detached;",
            "detach ‖ close"),
        new(
            "whoever leaves last may not ask again",
            "SocketEnd.cs",
            "Interlocked.CompareExchange(ref end, SocketEnd.Closed, SocketEnd.Open) != SocketEnd.Detached;",
            "Interlocked.CompareExchange(ref end, SocketEnd.Closed, SocketEnd.Open) == SocketEnd.Open;",
            "detach ‖ close"),
        new(
            "a detach does not look whether the descriptor was closed",
            "SocketEnd.cs",
            "Interlocked.CompareExchange(ref end, SocketEnd.Detached, SocketEnd.Open) == SocketEnd.Open;",
            "Interlocked.Exchange(ref end, SocketEnd.Detached) != SocketEnd.Detached;",
            "detach ‖ close"),
        new(
            "an end in order does not look whether the descriptor was detached",
            "SocketEnd.cs",
            "Interlocked.CompareExchange(ref end, SocketEnd.Emptied, SocketEnd.Open);",
            "Interlocked.Exchange(ref end, SocketEnd.Emptied);",
            "detach ‖ end"),

        // RoomPause.
        new(
            "a pause makes the side ready before it ends",
            "RoomPause.cs",
            """
                    Interlocked.Exchange(ref _isOn, false);
                    fd.MakeReady(Direction.Write);
            """,
            """
                    fd.MakeReady(Direction.Write);
                    Interlocked.Exchange(ref _isOn, false);
            """,
            "send pauses ‖ edge ‖ pause ends"),
        new(
            "a pause says that it has left the timer after it has ended",
            "RoomPause.cs",
            """
                    Interlocked.Exchange(ref _isParked, false);
                    Interlocked.Exchange(ref _isOn, false);
                    fd.MakeReady(Direction.Write);
            """,
            """
                    Interlocked.Exchange(ref _isOn, false);
                    fd.MakeReady(Direction.Write);
                    Interlocked.Exchange(ref _isParked, false);
            """,
            "next send pauses ‖ pause ends"),
        new(
            "a pause is on after its timer is set",
            "RoomPause.cs",
            """
                    Volatile.Write(ref _isOn, true);
                    fd.Loop.SetDeadline(_timer, PollMode.Read, fd.Loop.Clock.After(length));
                    if (Interlocked.Exchange(ref _isParked, true)) return;
                    if (_timer.Park(Direction.Read, this) != PollPark.Parked) End();
            """,
            """
                    fd.Loop.SetDeadline(_timer, PollMode.Read, fd.Loop.Clock.After(length));
                    if (!Interlocked.Exchange(ref _isParked, true) && _timer.Park(Direction.Read, this) != PollPark.Parked) End();
                    Volatile.Write(ref _isOn, true);
            """,
            "send pauses ‖ edge ‖ pause ends"),
        new(
            "a pause whose timer has fired already does not end",
            "RoomPause.cs",
            "if (_timer.Park(Direction.Read, this) != PollPark.Parked) End();",
            "_timer.Park(Direction.Read, this);",
            "send pauses ‖ edge ‖ pause ends"),

        // RunWatch.
        new(
            "the monitor notes a run before its time",
            "RunWatch.cs",
            """
                        Volatile.Write(ref _since, now);
                        Volatile.Write(ref _seen, run);
            """,
            """
                        Volatile.Write(ref _seen, run);
                        Volatile.Write(ref _since, now);
            """,
            "thread runs ‖ monitor looks"),

        // LoopTerms.
        new(
            "a leader that was deposed polls",
            "LoopTerms.cs",
            "if (Interlocked.CompareExchange(ref _lead, running | Polling, running) != running) return;",
            "Interlocked.Exchange(ref _lead, running | Polling);",
            "leader promoted ‖ old leader claims",
            "leader hands off ‖ leader promoted"),
        new(
            "a term is ended by a store, not an exchange",
            "LoopTerms.cs",
            "if (Interlocked.CompareExchange(ref _lead, lead + NextTerm, lead) != lead) return false;",
            "Volatile.Write(ref _lead, lead + NextTerm);",
            "leader promoted ‖ old leader claims",
            "helper leads ‖ leader claims",
            "leader hands off ‖ leader promoted"),
    ];
}
