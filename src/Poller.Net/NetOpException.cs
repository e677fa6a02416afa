using System.Net;
using System.Net.Sockets;
using System.Text;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// The failure of a network operation: the twin of Go's <c>net.OpError</c>. The message names the operation, the network, both addresses
/// and the reason.
/// </summary>
public sealed class NetOpException : IOException
{
    /// <summary>
    /// Creates an error like those that the library throws, so that you can test the code that handles it. For a deadline that passed, also
    /// set <see cref="IsTimeout"/>; for a close on this side, also set <see cref="IsClosed"/>.
    /// </summary>
    /// <param name="operation">What failed, such as <c>read</c>.</param>
    /// <param name="network">The network's name, such as <c>tcp</c>.</param>
    /// <param name="local">The address on this side, or null. It is copied.</param>
    /// <param name="remote">The address on the peer's side, or null. It is copied.</param>
    /// <param name="error">The error. Its text ends the message.</param>
    /// <param name="inner">The cause; null means a <see cref="SocketException"/> for <paramref name="error"/>.</param>
    public NetOpException(
        string operation, string network, EndPoint? local, EndPoint? remote, SocketError error, Exception? inner = null)
        : this(operation, network, local, remote, new SocketException((int)error), inner) { }

    private NetOpException(
        string operation, string network, EndPoint? local, EndPoint? remote, SocketException error, Exception? inner)
        : this(operation, network, local, remote, error.Message, inner ?? error) => SocketErrorCode = error.SocketErrorCode;

    private NetOpException(string operation, string network, EndPoint? local, EndPoint? remote, string reason, Exception? inner)
        : base(Describe(operation, network, local, remote, reason), inner)
    {
        Operation = operation;
        Network = network;
        LocalEndPoint = EndPoints.Copy(local); // Whoever holds an IPEndPoint can change it.
        RemoteEndPoint = EndPoints.Copy(remote);
    }

    // The same error, with another message.
    private NetOpException(string message, NetOpException error, NetOpException? fallback) : base(message, error.InnerException)
    {
        Operation = error.Operation;
        Network = error.Network;
        LocalEndPoint = error.LocalEndPoint;
        RemoteEndPoint = error.RemoteEndPoint;
        SocketErrorCode = error.SocketErrorCode;
        IsTimeout = error.IsTimeout;
        IsClosed = error.IsClosed;
        FallbackError = fallback;
    }

    /// <summary>What failed: <c>read</c>, <c>write</c>, <c>accept</c>, <c>dial</c>, <c>listen</c>, …</summary>
    public string Operation { get; }

    /// <summary>The network's name, such as <c>tcp</c>. For a <see cref="PolledFile"/> what the descriptor is: <c>pipe fd 7</c>.</summary>
    public string Network { get; }

    /// <summary>The address on this side; null if it is not known.</summary>
    public EndPoint? LocalEndPoint { get; }

    /// <summary>
    /// The address of the peer; null if it is not known. For a dial, the address that it tried to reach, and for a send to an address, that
    /// one.
    /// </summary>
    public EndPoint? RemoteEndPoint { get; }

    /// <summary>
    /// The code that System.Net.Sockets has for the error; <see cref="SocketError.SocketError"/> if it has none, and if a
    /// <see cref="SocketControl"/> threw. For a deadline or a time-out it is <see cref="SocketError.TimedOut"/>, for a close on this side
    /// <see cref="SocketError.OperationAborted"/>, and if the poller has failed <see cref="SocketError.SystemNotReady"/>.
    /// </summary>
    public SocketError SocketErrorCode { get; private init; }

    /// <summary>
    /// Whether a deadline or a time-out of this library ended the operation. The connection, listener or file, if there is one, stays
    /// usable. Only <see cref="ListenOptions.IdleTimeout"/> ends its connection for good; the message then says so.
    /// </summary>
    public bool IsTimeout { get; init; }

    /// <summary>
    /// The error of the addresses of the other family, if a dial has tried those too (<see cref="Dialer"/>). The message holds its text.
    /// </summary>
    public NetOpException? FallbackError { get; }

    /// <summary>
    /// Whether the connection, listener or file was closed on this side during the operation, or its poller was disposed before or during
    /// it.
    /// </summary>
    public bool IsClosed { get; init; }

    internal static NetOpException Refused(
        string operation, string network, EndPoint? local, EndPoint? remote, SocketException inner, string? hint = null) =>
        new(operation, network, local, remote, hint is null ? inner.Message : $"{inner.Message}: {hint}", inner)
        {
            SocketErrorCode = inner.SocketErrorCode,
        };

    /// <summary>Of a descriptor that has no network: <paramref name="descriptor"/> says what it is, as <c>pipe fd 7</c>.</summary>
    internal static NetOpException Refused(string operation, string descriptor, NetpollException inner, string? hint) =>
        new(operation, descriptor, null, null, hint is null ? inner.Error.Message : $"{inner.Error.Message}: {hint}", inner)
        {
            SocketErrorCode = SocketErrors.CodeOf(inner.Error),
        };

    /// <summary>A time-out of <paramref name="timeout"/> passed, or a deadline if it is null.</summary>
    internal static NetOpException Timeout(string operation, string network, EndPoint? local, EndPoint? remote, TimeSpan? timeout) =>
        TimedOut(operation, network, local, remote, timeout is { } span ? $"time-out of {Milliseconds(span)} ms" : "deadline");

    /// <summary>The idle time-out of a listener's connections passed.</summary>
    internal static NetOpException IdleTimeout(
        string operation, string network, EndPoint? local, EndPoint? remote, TimeSpan timeout) =>
        TimedOut(operation, network, local, remote, $"idle time-out of {Milliseconds(timeout)} ms");

    /// <summary>The caller's function, which saw a new socket, threw.</summary>
    internal static NetOpException ControlFailed(
        string operation, string network, EndPoint? local, EndPoint? remote, Exception inner) =>
        new(operation, network, local, remote, $"the control hook threw {inner.GetType().Name}: {inner.Message}", inner)
        {
            SocketErrorCode = SocketError.SocketError,
        };

    /// <summary>The error of a dial whose primary addresses and fallback addresses have failed.</summary>
    internal static NetOpException WithFallback(NetOpException primary, NetOpException fallback) =>
        new($"{primary.Message}; and of the other family: {fallback.Message}", primary, fallback);

    internal static NetOpException Closed(string operation, string network, EndPoint? local, EndPoint? remote) =>
        Closed(operation, network, local, remote, "closed on this side during the operation");

    internal static NetOpException PollerDisposed(string operation, string network, EndPoint? local, EndPoint? remote) =>
        Closed(operation, network, local, remote, "its poller was disposed");

    internal static NetOpException PollerFailed(
        string operation, string network, EndPoint? local, EndPoint? remote, Exception inner) =>
        new(operation, network, local, remote, $"its poller has failed: {inner.Message}", inner)
        {
            SocketErrorCode = SocketError.SystemNotReady,
        };

    /// <summary>The same error, whose message says more.</summary>
    internal NetOpException With(string note) => new($"{Message}; {note}", this, FallbackError);

    private static long Milliseconds(TimeSpan span) => (long)Math.Ceiling(span.TotalMilliseconds);

    private static NetOpException TimedOut(string operation, string network, EndPoint? local, EndPoint? remote, string what) =>
        new(operation, network, local, remote, $"the {what} passed", new TimeoutException($"The {what} passed."))
        {
            SocketErrorCode = SocketError.TimedOut,
            IsTimeout = true,
        };

    private static NetOpException Closed(string operation, string network, EndPoint? local, EndPoint? remote, string reason) =>
        new(operation, network, local, remote, reason, null)
        {
            SocketErrorCode = SocketError.OperationAborted,
            IsClosed = true,
        };

    /// <summary>A network and two addresses, of which either may be unknown.</summary>
    internal static string Describe(string network, EndPoint? local, EndPoint? remote)
    {
        StringBuilder text = new(network);
        if (EndPoints.Show(local) is { } here) text.Append(' ').Append(here);
        if (EndPoints.Show(remote) is { } there) text.Append(EndPoints.Show(local) is null ? " " : "->").Append(there);
        return text.ToString();
    }

    private static string Describe(string operation, string network, EndPoint? local, EndPoint? remote, string reason) =>
        $"{operation} {Describe(network, local, remote)}: {reason}";
}
