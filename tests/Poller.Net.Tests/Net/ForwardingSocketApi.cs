using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The system's socket calls. A test's own socket calls derive from it, and change the few that they are about.</summary>
internal abstract class ForwardingSocketApi : ISocketApi
{
    private readonly ISocketApi _inner = SystemSocketApi.Current;

    public int MaxBacklog => _inner.MaxBacklog;

    public long MaxDescriptors => _inner.MaxDescriptors;

    public int SocketLevel => _inner.SocketLevel;

    public int PidFdType => _inner.PidFdType;

    public ControlLayout ControlLayout => _inner.ControlLayout;

    public virtual IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol) => _inner.Socket(family, type, protocol);

    public virtual IoResult Bind(nint fd, ReadOnlySpan<byte> address) => _inner.Bind(fd, address);

    public virtual IoResult Listen(nint fd, int backlog) => _inner.Listen(fd, backlog);

    public virtual IoResult Accept(nint fd, Span<byte> address, out int addressLength) => _inner.Accept(fd, address, out addressLength);

    public virtual IoResult Connect(nint fd, ReadOnlySpan<byte> address) => _inner.Connect(fd, address);

    public virtual IoResult Receive(nint fd, Span<byte> buffer) => _inner.Receive(fd, buffer);

    public virtual IoResult Peek(nint fd, Span<byte> buffer) => _inner.Peek(fd, buffer);

    public virtual IoResult Send(nint fd, ReadOnlySpan<byte> buffer) => _inner.Send(fd, buffer);

    public virtual IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength) =>
        _inner.ReceiveFrom(fd, buffer, address, out addressLength);

    public virtual IoResult SendTo(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address) => _inner.SendTo(fd, buffer, address);

    public virtual IoResult ReceiveMessage(
        nint fd, ReadOnlySpan<IoVector> buffers, Span<byte> address, Span<byte> control, out MessageInfo info) =>
        _inner.ReceiveMessage(fd, buffers, address, control, out info);

    public virtual IoResult SendMessage(
        nint fd, ReadOnlySpan<IoVector> buffers, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control) =>
        _inner.SendMessage(fd, buffers, address, control);

    public virtual IoResult ReceiveMessages(nint fd, MessageBatch batch) => _inner.ReceiveMessages(fd, batch);

    public virtual IoResult SendMessages(nint fd, MessageBatch batch, int first) => _inner.SendMessages(fd, batch, first);

    public virtual UdpOffload? UdpOffload => _inner.UdpOffload;

    public virtual IoResult ReceiveMessage(nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info) =>
        _inner.ReceiveMessage(fd, buffer, address, control, out info);

    public virtual IoResult SendMessage(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control) =>
        _inner.SendMessage(fd, buffer, address, control);

    public virtual IoResult SetMembership(nint fd, ReadOnlySpan<byte> group, int interfaceIndex, bool joins) =>
        _inner.SetMembership(fd, group, interfaceIndex, joins);

    public virtual IoResult SetMulticastInterface(nint fd, AddressFamily family, int interfaceIndex) =>
        _inner.SetMulticastInterface(fd, family, interfaceIndex);

    public virtual IoResult SendFile(nint fd, nint file, long offset, int count) => _inner.SendFile(fd, file, offset, count);

    public virtual IoResult Pipe(out nint read, out nint write) => _inner.Pipe(out read, out write);

    public virtual IoResult Splice(nint from, nint to, int count) => _inner.Splice(from, to, count);

    public virtual IoResult ReadPipe(nint fd, Span<byte> buffer) => _inner.ReadPipe(fd, buffer);

    public virtual IoResult Shutdown(nint fd, SocketShutdown how) => _inner.Shutdown(fd, how);

    public virtual IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value) =>
        _inner.SetOption(fd, level, name, value);

    public virtual IoResult GetOption(nint fd, SocketOptionLevel level, SocketOptionName name, out int value) =>
        _inner.GetOption(fd, level, name, out value);

    public virtual IoResult SetRawOption(nint fd, int level, int name, ReadOnlySpan<byte> value) =>
        _inner.SetRawOption(fd, level, name, value);

    public virtual IoResult GetRawOption(nint fd, int level, int name, Span<byte> value) => _inner.GetRawOption(fd, level, name, value);

    public virtual IoResult PeerCredentials(nint fd, out PeerCredentials credentials) => _inner.PeerCredentials(fd, out credentials);

    public virtual IoResult TcpInfo(nint fd, Span<byte> info) => _inner.TcpInfo(fd, info);

    public virtual IoResult TakeError(nint fd) => _inner.TakeError(fd);

    public virtual IoResult Unsent(nint fd) => _inner.Unsent(fd);

    public virtual IoResult LocalName(nint fd, Span<byte> address, out int addressLength) =>
        _inner.LocalName(fd, address, out addressLength);

    public virtual IoResult PeerName(nint fd, Span<byte> address, out int addressLength) => _inner.PeerName(fd, address, out addressLength);

    public virtual IoResult SetNonBlocking(nint fd, bool value) => _inner.SetNonBlocking(fd, value);

    public virtual IoResult SetUp(nint fd) => _inner.SetUp(fd);

    public virtual IoResult Duplicate(nint fd) => _inner.Duplicate(fd);

    public virtual IoResult Replace(nint fd, nint by) => _inner.Replace(fd, by);

    public virtual IoResult Describe(
        nint fd, out AddressFamily family, out SocketType type, out ProtocolType protocol, out bool listens) =>
        _inner.Describe(fd, out family, out type, out protocol, out listens);

    public virtual IoResult Close(nint fd) => _inner.Close(fd);
}
