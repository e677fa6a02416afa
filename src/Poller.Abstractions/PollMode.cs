namespace Poller.Abstractions;

/// <summary>A direction of a descriptor, or both.</summary>
[Flags]
public enum PollMode
{
    /// <summary>Neither.</summary>
    None = 0,

    /// <summary>The read side.</summary>
    Read = 1,

    /// <summary>The write side.</summary>
    Write = 2,

    /// <summary>Both sides.</summary>
    ReadWrite = Read | Write,
}
