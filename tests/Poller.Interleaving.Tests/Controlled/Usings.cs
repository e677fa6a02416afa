// The types that the sources of Poller.Net get under these names. Lock is not here: the compiler finds the type of a lock statement by its
// full name, so Lock.cs defines System.Threading.Lock itself. Nor is ConcurrentQueue, because an alias cannot name an open generic type.
global using AutoResetEvent = Poller.Interleaving.Tests.Controlled.AutoResetEvent;
global using Interlocked = Poller.Interleaving.Tests.Controlled.Interlocked;
global using Monitor = Poller.Interleaving.Tests.Controlled.Monitor;
global using Thread = Poller.Interleaving.Tests.Controlled.Thread;
global using ThreadPool = Poller.Interleaving.Tests.Controlled.ThreadPool;
global using TimeProvider = Poller.Interleaving.Tests.Controlled.TimeProvider;
global using Volatile = Poller.Interleaving.Tests.Controlled.Volatile;
