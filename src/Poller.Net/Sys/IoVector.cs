namespace Poller.Net;

/// <summary>One buffer of a gathered or scattered call: a struct iovec. Its memory is pinned while a call uses it.</summary>
internal struct IoVector
{
    public nint Base;
    public nint Length;
}
