using Poller.Abstractions;

namespace Poller.Net;

// The pause between two tries of a send to a receiver without room (UnixFd.SendTo.cs). It is a wait in the write side, which the backend is
// not asked to report: a timer of the loop makes the side ready.
//
// An edge may come all the same: that of an arriving packet, and one of each try, because the system frees the bytes that it could not
// place. It must not end the pause, or the tries would never rest. So the send waits again as long as the pause is on. The timer ends the
// pause and then looks at the side; the send consumes the side's readiness and then looks at the pause. A full fence lies between the two in
// both. So the send finds the pause over, or the timer makes the side ready.
//
// The side's own time-out would end the send. So the timer is the deadline of a PollDesc of its own, which no backend knows, and in which
// this object waits:
//
//   idle -> parked     a send begins a pause
//   parked -> parked   a later send begins one, because the earlier send was cancelled: the deadline moves
//   parked -> idle     the deadline has passed: the pause of whichever send is over
//
// Whoever passes the deadline says that nobody is parked, and then ends the pause. So a send that finds it parked is woken, if early.

/// <summary>Ends the pauses of the sends of one descriptor, one pause at a time. Begin is called under the write lock.</summary>
internal sealed class RoomPause(PollFd fd) : PollWaiter
{
    // Constant.
    private readonly PollDesc _timer = new(slot: 0);

    // Atomic. Set under the write lock, before the timer is; the timer clears it. One that fires late may cut the pause of a later send.
    private bool _isOn;

    // Atomic: whether this waits in the timer.
    private bool _isParked;

    public bool IsOn => Volatile.Read(ref _isOn);

    public void Begin(TimeSpan length)
    {
        Volatile.Write(ref _isOn, true);
        fd.Loop.SetDeadline(_timer, PollMode.Read, fd.Loop.Clock.After(length));
        if (Interlocked.Exchange(ref _isParked, true)) return;
        if (_timer.Park(Direction.Read, this) != PollPark.Parked) End();
    }

    /// <summary>Takes the timer away, when nobody uses the descriptor any more.</summary>
    public void Remove() => fd.Loop.Timers.Evict(_timer, out _, out _);

    public override void Execute() => End();

    // It needs no thread of the pool, which a program's blocking sends may all have.
    internal override bool TryWakeThread()
    {
        End();
        return true;
    }

    private void End()
    {
        Interlocked.Exchange(ref _isParked, false);
        Interlocked.Exchange(ref _isOn, false);
        fd.MakeReady(Direction.Write);
    }
}
