namespace Poller.AspNetCore.Tests.OverInline;

public sealed class AbortTests(SharedServer<InlineTransport> shared) : AbortTests<InlineTransport>(shared);
public sealed class BackPressureTests : BackPressureTests<InlineTransport>;
public sealed class BodyTests(SharedServer<InlineTransport> shared) : BodyTests<InlineTransport>(shared);
public sealed class ConnectionTests(SharedTransport<InlineTransport> shared) : ConnectionTests<InlineTransport>(shared);
public sealed class Http2Tests(Http2Tests<InlineTransport>.Http2Server shared) : Http2Tests<InlineTransport>(shared);
public sealed class ListenerTests : ListenerTests<InlineTransport>;
public sealed class PipeTests(SharedTransport<InlineTransport> shared) : PipeTests<InlineTransport>(shared);
public sealed class PipeliningTests(SharedServer<InlineTransport> shared) : PipeliningTests<InlineTransport>(shared);
public sealed class RandomTests(SharedTransport<InlineTransport> shared) : RandomTests<InlineTransport>(shared);
public sealed class ShutdownTests : ShutdownTests<InlineTransport>;
public sealed class UpgradeTests(SharedServer<InlineTransport> shared) : UpgradeTests<InlineTransport>(shared);
