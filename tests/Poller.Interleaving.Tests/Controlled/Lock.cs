using Poller.Interleaving.Tests;

namespace System.Threading;

/// <summary>Entering is a scheduling point and a full fence; leaving is a release store, and .NET promises no more than that.</summary>
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

    // No point of its own: until its next one, the thread that leaves does nothing that others could tell from this.
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
