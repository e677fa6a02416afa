namespace Poller.Posix.Tests;

/// <summary><inheritdoc cref="ProcessWide"/></summary>
[CollectionDefinition(ProcessWide.Name, DisableParallelization = true)]
public sealed class ProcessWideCollection;
