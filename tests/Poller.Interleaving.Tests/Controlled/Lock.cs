using Poller.Interleaving.Tests;

namespace System.Threading;

/// <summary>Entering is a scheduling point and a full fence. Leaving is a release store; .NET promises no more.</summary>
internal sealed class Lock
{
    private static readonly Site Enters = new("Enter", "lock", "", 0);

    private readonly Func<bool> _isFree;
    private bool _isHeld;

    public Lock() => _isFree = () => !_isHeld;

    public Scope EnterScope()
    {
        ControlledThread.WaitUntil(_isFree, Enters);
        _isHeld = true;
        return new Scope(this);
    }

    // Leaving is no scheduling point: until its next point the thread does nothing that others could notice.
    private void Exit()
    {
        _isHeld = false;
        ControlledThread.Current?.Left();
    }

    public ref struct Scope(Lock owner)
    {
        public void Dispose() => owner.Exit();
    }
}
