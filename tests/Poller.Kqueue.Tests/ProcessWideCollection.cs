namespace Poller.Kqueue.Tests;

/// <summary><inheritdoc cref="ProcessWide"/></summary>
[CollectionDefinition(ProcessWide.Name, DisableParallelization = true)]
public sealed class ProcessWideCollection;
