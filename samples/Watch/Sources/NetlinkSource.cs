using Poller.Abstractions;
using Poller.Net;

namespace Watch.Sources;

/// <summary>Changes of the machine's links, addresses and routes: rtnetlink(7).</summary>
internal sealed class NetlinkSource(PolledFile file) : Source(file)
{
    private const int BufferSize = 64 * 1024;

    private const uint RTMGRP_LINK = 0x1;
    private const uint RTMGRP_IPV4_IFADDR = 0x10;
    private const uint RTMGRP_IPV4_ROUTE = 0x40;
    private const uint RTMGRP_IPV6_IFADDR = 0x100;
    private const uint RTMGRP_IPV6_ROUTE = 0x400;

    private readonly byte[] _buffer = new byte[BufferSize];

    public static Source Open(Netpoller poller, string text)
    {
        const uint Groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
        if (text != "route") throw new FormatException($"\"{text}\" is no family of netlink that can be watched");
        return new NetlinkSource(Poll(poller, LibC.OpenRouteMessages(Groups)));
    }

    public override async IAsyncEnumerable<string> EventsAsync()
    {
        while (true)
        {
            int length = await File.ReadAsync(_buffer, static (fd, buffer) => LibC.ReceiveFrom(fd, buffer, from: null));
            if (length == -Errno.ENOBUFS.Number)
            {
                yield return "messages were lost, because they were not read fast enough (ENOBUFS)";
                continue;
            }
            if (length < 0) throw new NetpollException($"recvfrom {File}", new Errno(-length));
            foreach (string line in RouteMessages.Decode(_buffer.AsSpan(0, Math.Min(length, BufferSize)))) yield return line;
            if (length > BufferSize) yield return $"messages of {length} bytes were cut after {BufferSize}";
        }
    }
}
