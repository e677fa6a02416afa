using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of sysDialer in Go's net/dial.go, and of doDialTCPProto in net/tcpsock_posix.go.
//
// A dial of addresses of both families is a race (RFC 6555, as in Go): the primaries, which are the addresses of the first one's family,
// and the fallbacks. Each racer dials its addresses in turn.
//
//   the primaries run               the dial begins
//   the fallbacks run too           the delay is over, or the primaries have failed
//   a racer connects                it wins; the other one is cancelled, and the dial waits until it has closed its socket
//   both have failed                the primaries' error, with that of the fallbacks attached
//   the token or the poller ends    both fail; the fallbacks do not start any more

/// <summary>One dial of an IP network, by the options of its <see cref="Dialer"/>.</summary>
internal readonly struct SysDialer(Dialer dialer, SocketNetwork network)
{
    /// <summary>Dials the addresses that the host has.</summary>
    public async ValueTask<NetFd> DialAsync(NetAddress address, DialMode mode)
    {
        mode.Token.ThrowIfCancellationRequested();
        List<IPEndPoint> remotes = await address.ForDialAsync(dialer.Stack.Names, mode).ConfigureAwait(false);
        return await DialAsync(remotes, mode).ConfigureAwait(false);
    }

    /// <summary>Dials addresses of one host, of which there is at least one. It takes ownership of them.</summary>
    public ValueTask<NetFd> DialAsync(List<IPEndPoint> remotes, DialMode mode)
    {
        List<IPEndPoint> suitable = SuitableFor(LocalAddress(), remotes);
        if (dialer.FallbackDelay < TimeSpan.Zero || !network.IsTcp) return DialSerialAsync(suitable, mode);

        // The twin of addrList.partition in Go's net/ipsock.go.
        AddressFamily first = suitable[0].AddressFamily;
        List<IPEndPoint> fallbacks = suitable.FindAll(remote => remote.AddressFamily != first);
        if (fallbacks.Count == 0) return DialSerialAsync(suitable, mode);
        List<IPEndPoint> primaries = suitable.FindAll(remote => remote.AddressFamily == first);
        return mode.Blocking
            ? ValueTask.FromResult(DialParallel(primaries, fallbacks, mode))
            : DialParallelAsync(primaries, fallbacks, mode);
    }

    // The blocking form: the race runs on the loop, and this thread waits for it.
    private NetFd DialParallel(List<IPEndPoint> primaries, List<IPEndPoint> fallbacks, DialMode mode)
    {
        Blocking.Enter("dial", dialer.Stack.Poller);
        using CancellationTokenSource interruption = new();
        Task<NetFd> race = DialParallelAsync(primaries, fallbacks, mode.Async(interruption.Token)).AsTask();
        try
        {
            return race.GetAwaiter().GetResult();
        }
        catch (ThreadInterruptedException)
        {
            interruption.Cancel();
            race.ContinueWith(
                static race => DisposeResult(race),
                CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            throw;
        }
    }

    // The twin of dialParallel.
    private async ValueTask<NetFd> DialParallelAsync(List<IPEndPoint> primaries, List<IPEndPoint> fallbacks, DialMode mode)
    {
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(mode.Token);
        DialMode racing = mode.Async(over.Token);
        Task<NetFd> primary = DialSerialAsync(primaries, racing).AsTask();
        if (!primary.IsCompleted)
        {
            TimeSpan delay = dialer.FallbackDelay < DialMode.MaxWait ? dialer.FallbackDelay : DialMode.MaxWait;
            Task headStart = primary.WaitAsync(delay, mode.Clock, CancellationToken.None);
            await headStart.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        if (primary.IsCompletedSuccessfully) return await primary.ConfigureAwait(false);
        if (primary.IsCompleted)
        {
            mode.Token.ThrowIfCancellationRequested();
            if (!MayTryNext(ErrorOf(primary))) return await primary.ConfigureAwait(false); // It throws.
        }

        Task<NetFd> fallback = DialSerialAsync(fallbacks, racing).AsTask();
        Task<NetFd> winner = await Task.WhenAny(primary, fallback).ConfigureAwait(false);
        Task<NetFd> loser = winner == primary ? fallback : primary;
        if (!winner.IsCompletedSuccessfully)
        {
            (winner, loser) = (loser, winner);
            await ((Task)winner).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        if (winner.IsCompletedSuccessfully)
        {
#pragma warning disable CA1849 // The callbacks of the token only schedule the loser. An async form would run them on the pool.
            over.Cancel();
#pragma warning restore CA1849
            await ((Task)loser).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            DisposeResult(loser);
            return await winner.ConfigureAwait(false);
        }

        mode.Token.ThrowIfCancellationRequested();
        (Exception first, Exception second) = (ErrorOf(primary), ErrorOf(fallback));
        if (!MayTryNext(first)) ExceptionDispatchInfo.Throw(first);
        if (!MayTryNext(second)) ExceptionDispatchInfo.Throw(second);
        throw NetOpException.WithFallback((NetOpException)first, (NetOpException)second);
    }

    // The twin of dialSerial. If all fail, it throws the first one's error.
    private async ValueTask<NetFd> DialSerialAsync(List<IPEndPoint> remotes, DialMode mode)
    {
        Exception? first = null;
        for (int i = 0; i < remotes.Count; i++)
        {
            try
            {
                return await DialSingleAsync(remotes[i], mode, addresses: remotes.Count - i).ConfigureAwait(false);
            }
            catch (NetOpException e) when (MayTryNext(e))
            {
                first ??= e;
            }
        }
        throw first!;
    }

    // The twin of dialSingle and doDialTCPProto.
    private async ValueTask<NetFd> DialSingleAsync(IPEndPoint remote, DialMode mode, int addresses)
    {
        const int SelfConnects = 2;
        IPEndPoint? local = LocalFor(remote);
        for (int attempt = 0; ; attempt++)
        {
            mode.Token.ThrowIfCancellationRequested();
            TimeSpan? share = mode.Share(addresses);
            if (share == TimeSpan.Zero) throw NetOpException.Timeout("dial", network.Name, local, remote, mode.Timeout);
            if (!network.IsTcp) return PacketFd.Connect(dialer, network, local, remote);
            NetFd fd = await NetFd.ConnectAsync(dialer, network, local, remote, mode, share).ConfigureAwait(false);
            bool mayRetry = attempt < SelfConnects && local is null or { Port: 0 };
            if (!mayRetry || !fd.IsSelfConnected) return fd;
            fd.Dispose();
        }
    }

    /// <summary>The error of a local address of another kind than the network's.</summary>
    public static ArgumentException WrongLocal(string expected, SocketNetwork network, EndPoint local) =>
        new($"LocalEndPoint: {expected} was expected to dial {network.Name}; it was {local}.");

    // Whether an error is of one address alone. The end of the poller or of the token is not.
    private static bool MayTryNext(Exception error) => error is NetOpException { IsClosed: false };

    private static Exception ErrorOf(Task failed) => failed.Exception?.InnerException ?? new TaskCanceledException(failed);

    private static void DisposeResult(Task<NetFd> dial)
    {
        if (dial.IsCompletedSuccessfully) dial.GetAwaiter().GetResult().Dispose();
        else _ = dial.Exception; // Nobody else looks at it.
    }

    private IPEndPoint? LocalAddress() => dialer.LocalEndPoint switch
    {
        null => null,
        IPEndPoint ip => ip,
        var other => throw WrongLocal(nameof(IPEndPoint), network, other),
    };

    // The twin of the hint of resolveAddrList: the addresses that a socket with the local address can reach.
    private List<IPEndPoint> SuitableFor(IPEndPoint? local, List<IPEndPoint> remotes)
    {
        if (local is null || IsWildcard(local)) return remotes;
        List<IPEndPoint> suitable = remotes.FindAll(remote => remote.AddressFamily == local.AddressFamily);
        if (suitable.Count > 0) return suitable;
        const string Expected = "an address of the family of the local address was expected";
        throw NetOpException.Refused(
            "dial", network.Name, local, remotes[0], SocketErrors.ToException(Errno.EAFNOSUPPORT), Expected);
    }

    private IPEndPoint? LocalFor(IPEndPoint remote)
    {
        IPEndPoint? local = LocalAddress();
        if (local is null || !IsWildcard(local)) return local;
        return new IPEndPoint(remote.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, local.Port);
    }

    private static bool IsWildcard(IPEndPoint local) => local.Address.Equals(IPAddress.Any) || local.Address.Equals(IPAddress.IPv6Any);
}
