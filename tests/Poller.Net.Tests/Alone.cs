namespace Poller.Net.Tests;

/// <summary>Tests that measure what the whole process does, or how soon something happens: nothing runs beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
