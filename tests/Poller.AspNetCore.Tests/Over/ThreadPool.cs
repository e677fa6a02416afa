namespace Poller.AspNetCore.Tests.OverThreadPool;

public sealed class AbortTests(SharedServer<ThreadPoolTransport> shared) : AbortTests<ThreadPoolTransport>(shared);
public sealed class BackPressureTests : BackPressureTests<ThreadPoolTransport>;
public sealed class BodyTests(SharedServer<ThreadPoolTransport> shared) : BodyTests<ThreadPoolTransport>(shared);
public sealed class ConnectionTests(SharedTransport<ThreadPoolTransport> shared) : ConnectionTests<ThreadPoolTransport>(shared);
public sealed class Http2Tests(Http2Tests<ThreadPoolTransport>.Http2Server shared) : Http2Tests<ThreadPoolTransport>(shared);
public sealed class ListenerTests : ListenerTests<ThreadPoolTransport>;
public sealed class PipeTests(SharedTransport<ThreadPoolTransport> shared) : PipeTests<ThreadPoolTransport>(shared);
public sealed class PipeliningTests(SharedServer<ThreadPoolTransport> shared) : PipeliningTests<ThreadPoolTransport>(shared);
public sealed class RandomTests(SharedTransport<ThreadPoolTransport> shared) : RandomTests<ThreadPoolTransport>(shared);
public sealed class ShutdownTests : ShutdownTests<ThreadPoolTransport>;
public sealed class UpgradeTests(SharedServer<ThreadPoolTransport> shared) : UpgradeTests<ThreadPoolTransport>(shared);
