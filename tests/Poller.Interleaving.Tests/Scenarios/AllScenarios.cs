using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Every scenario by its name.</summary>
public static class AllScenarios
{
    public static IReadOnlyDictionary<string, Action<Run>> ByName { get; } = new Dictionary<string, Action<Run>>
    {
        ["ready ‖ wait"] = PollDescScenarios.ReadyAndWait,
        ["ready ‖ read that resets"] = PollDescScenarios.ReadyAndRead,
        ["room ‖ write ‖ ready"] = PollDescScenarios.ReadyAndWrite,
        ["ready ‖ wait to read ‖ wait to write"] = PollDescScenarios.ReadyAndTwoWaits,
        ["hang-up ‖ wait"] = PollDescScenarios.HangupAndWait,
        ["hang-up ‖ watch"] = PollDescScenarios.HangupAndWatch,
        ["stop ‖ watch"] = PollDescScenarios.StopAndWatch,
        ["hang-up ‖ stop ‖ watch"] = PollDescScenarios.HangupAndStopAndWatch,
        ["error ‖ let errors pass ‖ wait"] = PollDescScenarios.ErrorAndLetPass,
        ["ready ‖ wait ‖ deadline"] = PollDescScenarios.ReadyAndWaitAndDeadline,
        ["wait ‖ close"] = PollDescScenarios.WaitAndClose,
        ["ready ‖ wait ‖ close"] = PollDescScenarios.ReadyAndWaitAndClose,
        ["cancel ‖ wait"] = PollDescScenarios.CancelAndWait,
        ["cancel ‖ ready ‖ wait"] = PollDescScenarios.CancelAndReadyAndWait,
        ["reuse ‖ stale event"] = PollDescScenarios.ReuseAndStaleEvent,
        ["set deadline ‖ timer fires"] = PollTimersScenarios.SetDeadlineAndTimerFires,
        ["prolong deadline ‖ timer fires"] = PollTimersScenarios.ProlongAndTimerFires,
        ["prolong deadline ‖ set deadline ‖ timer fires"] = PollTimersScenarios.ProlongAndSetEarlierAndTimerFires,
        ["prolong deadline ‖ reuse ‖ timer fires"] = PollTimersScenarios.ProlongAndReuse,
        ["clear deadline ‖ timer fires"] = PollTimersScenarios.ClearDeadlineAndTimerFires,
        ["time-out passes ‖ prolong deadline"] = PollTimersScenarios.TimeoutPassesAndProlong,
        ["operation begins ‖ timer fires"] = PollTimersScenarios.OperationBeginsAndTimerFires,
        ["operation begins ‖ set deadline ‖ timer fires"] = PollTimersScenarios.OperationBeginsAndDeadlineIsSet,
        ["close ‖ timer fires"] = PollTimersScenarios.CloseAndTimerFires,
        ["close ‖ close ‖ read lock"] = FdMutexScenarios.CloseAndCloseAndReadLock,
        ["close ‖ operation ‖ operation"] = FdMutexScenarios.CloseAndOperation,
        ["close ‖ read lock ‖ read lock"] = FdMutexScenarios.CloseAndTwoReadLocks,
        ["three read locks"] = FdMutexScenarios.ThreeReadLocks,
        ["unlock ‖ queued locker leaves"] = FdMutexScenarios.UnlockAndQueuedLockerLeaves,
        ["queue ‖ cancel"] = FdMutexScenarios.QueueAndCancel,
        ["close ‖ queued locker leaves"] = FdMutexScenarios.CloseAndQueuedLockerLeaves,
        ["operation completes ‖ awaiter"] = PollOpScenarios.CompleteAndAwait,
        ["operation completes ‖ awaiter begins anew"] = PollOpScenarios.CompleteAndBeginAnew,
        ["operation queues ‖ unlock ‖ close"] = PollOpScenarios.QueueAndUnlockAndClose,
        ["accept pauses ‖ cancel"] = PollOpScenarios.PauseAndCancel,
        ["accept pauses ‖ close"] = PollOpScenarios.PauseAndClose,
        ["accept pauses ‖ deadline"] = PollOpScenarios.PauseAndDeadline,
        ["accept pauses ‖ pause ends"] = PollOpScenarios.PauseAndEndOfPause,
        ["wait for a library ‖ ready"] = WaitOnlyScenarios.WaitAndLibraryLeavesARecord,
        ["accept waits for a place ‖ connection leaves"] = NetScenarios.AcceptAndLeave,
        ["idle time-out ‖ set deadline"] = NetScenarios.EndIdleAndSetDeadline,
        ["idle time-out ‖ activity"] = NetScenarios.EndIdleAndActivity,
        ["send pauses ‖ edge ‖ pause ends"] = NetScenarios.PauseAndEdgeAndEndOfPause,
        ["next send pauses ‖ pause ends"] = NetScenarios.NextPauseAndEndOfPause,
        ["detach ‖ close"] = NetScenarios.DetachAndClose,
        ["detach ‖ end"] = NetScenarios.DetachAndEnd,
        ["fill ‖ claim"] = LoopScenarios.FillAndClaim,
        ["claim ‖ claim"] = LoopScenarios.TwoClaim,
        ["push ‖ push ‖ take all"] = LoopScenarios.PushAndTakeAll,
        ["schedule ‖ leader sleeps"] = LoopScenarios.ScheduleAndSleep,
        ["set deadline ‖ leader sleeps"] = LoopScenarios.SetDeadlineAndSleep,
        ["leader promoted ‖ old leader claims"] = LoopScenarios.PromoteAndClaim,
        ["helper leads ‖ leader claims"] = LoopScenarios.HelpAndClaim,
        ["helper leads ‖ stop"] = LoopScenarios.HelpAndStop,
        ["leader hands off ‖ leader promoted"] = LoopScenarios.HandOffAndPromote,
        ["leader runs ‖ monitor falls asleep"] = LoopScenarios.RunAndMonitorSleeps,
        ["thread runs ‖ monitor looks"] = RunWatchScenarios.RunAndLook,
        ["schedule ‖ stop"] = LoopScenarios.ScheduleAndStop,
        ["operation begins ‖ backend fails"] = LoopScenarios.BeginAndFail,
        ["schedule ‖ backend fails"] = LoopScenarios.ScheduleAndFail,
        ["lingering close ‖ peer ends"] = LingeringCloseScenarios.LingerAndPeerEnds,
        ["lingering close ‖ time passes"] = LingeringCloseScenarios.LingerAndTimePasses,
        ["lingering close ‖ stop"] = LingeringCloseScenarios.LingerAndStop,
    };

    /// <summary>Scenarios with so many steps that one more preemption takes 30 times as long. They get one less.</summary>
    public static IReadOnlySet<string> Large { get; } = new HashSet<string>
    {
        "lingering close ‖ peer ends",
        "lingering close ‖ time passes",
        "lingering close ‖ stop",
    };

    /// <summary>How many preemptions a scenario gets, where most get <paramref name="bound"/>.</summary>
    public static int BoundOf(string name, int bound) => Large.Contains(name) ? bound - 1 : bound;
}
