using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;
using Poller.Net;

namespace Watch.Sources;

/// <summary>Datagrams, by a recvfrom(2) of our own.</summary>
internal sealed class UdpSource(PolledFile file, IPEndPoint local) : Source(file)
{
    private const int BufferSize = 2048;

    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly SocketAddress _from = new(local.AddressFamily);

    public override string Description => $"{File} at {local}";

    public static Source Open(Netpoller poller, string text)
    {
        // The parser takes an address without a port too.
        if (!IPEndPoint.TryParse(text, out IPEndPoint? at) || !text.EndsWith($":{at.Port}", StringComparison.Ordinal))
        {
            throw new FormatException($"\"{text}\" is no address with a port");
        }
        Socket socket = new(at.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(at);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
        return new UdpSource(Poll(poller, socket.SafeHandle), (IPEndPoint)socket.LocalEndPoint!);
    }

    public override async IAsyncEnumerable<string> EventsAsync()
    {
        while (true)
        {
            _from.Size = _from.Buffer.Length;
            int length = await File.ReadAsync(this, static (fd, source) => LibC.ReceiveFrom(fd, source._buffer, source._from));
            if (length < 0) throw new NetpollException($"recvfrom {File}", new Errno(-length));
            string cut = length > BufferSize ? $", cut after {BufferSize}" : "";
            string text = Text.Quote(_buffer.AsSpan(0, Math.Min(length, BufferSize)));
            yield return $"{Count(length, "byte")}{cut} from {local.Create(_from)} {text}";
        }
    }
}
