// The apps, the browser and the programs that load them share the processors, and the page is looked at while a handler blocks for a second.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
