using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Poller.AspNetCore.Tests;

/// <summary>How a client sees the end of its connection.</summary>
internal enum End
{
    /// <summary>The peer's FIN.</summary>
    Graceful,

    /// <summary>The peer's RST.</summary>
    Reset,
}

/// <summary>A client that sends what a test says, byte for byte, over a socket of the BCL.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _next, _end;

    private RawClient(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    public static async Task<RawClient> ConnectAsync(EndPoint address, int receiveBuffer = 0)
    {
        ProtocolType protocol = address is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp;
        Socket socket = new(address.AddressFamily, SocketType.Stream, protocol);
        if (protocol == ProtocolType.Tcp) socket.NoDelay = true;
        if (receiveBuffer > 0) socket.ReceiveBufferSize = receiveBuffer;
        try
        {
            await socket.ConnectAsync(address).Within();
            return new RawClient(socket);
        }
        catch
        {
            socket.Dispose(); // Otherwise its finalizer closes it during a test that counts descriptors.
            throw;
        }
    }

    public Task SendAsync(string text) => SendAsync(Encoding.ASCII.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await Socket.SendAsync(bytes).Within()..];
    }

    /// <summary>Sends the FIN; the other direction stays open.</summary>
    public void EndSending() => Socket.Shutdown(SocketShutdown.Send);

    /// <summary>Ends the connection by an RST.</summary>
    public void Reset()
    {
        Socket.LingerState = new LingerOption(true, 0);
        Socket.Dispose();
    }

    /// <summary>Reads a response, whose body is chunked or has a length.</summary>
    public async Task<RawResponse> ReadResponseAsync()
    {
        string head = await ReadHeadAsync();
        RawResponse response = new(head, "");
        if (response.Header("Transfer-Encoding") == "chunked") return response with { Body = await ReadChunksAsync() };
        return response.Header("Content-Length") is { } length
            ? response with { Body = await ReadTextAsync(int.Parse(length, CultureInfo.InvariantCulture)) }
            : response;
    }

    /// <summary>Reads the status line and the headers, through the empty line.</summary>
    public async Task<string> ReadHeadAsync()
    {
        StringBuilder head = new();
        while (await ReadLineAsync() is { Length: > 0 } line) head.Append(line).Append("\r\n");
        return head.ToString();
    }

    public async Task<string> ReadTextAsync(int count)
    {
        byte[] bytes = new byte[count];
        for (int done = 0; done < count;)
        {
            int read = await ReadAsync(bytes.AsMemory(done));
            Assert.True(read > 0, $"the peer ended after {done} bytes of {count}.");
            done += read;
        }
        return Encoding.Latin1.GetString(bytes);
    }

    public async Task<int> ReadAsync(Memory<byte> buffer)
    {
        if (_next == _end && !await FillAsync()) return 0;
        int count = Math.Min(buffer.Length, _end - _next);
        _buffer.AsSpan(_next, count).CopyTo(buffer.Span);
        _next += count;
        return count;
    }

    /// <summary>Reads until the connection ends, and says how it did, and how much came before.</summary>
    public async Task<(End End, long Count)> ReadToEndAsync()
    {
        long total = 0;
        try
        {
            while (_next < _end || await FillAsync())
            {
                total += _end - _next;
                _next = _end;
            }
            return (End.Graceful, total);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return (End.Reset, total);
        }
    }

    public void Dispose() => Socket.Dispose();

    private async Task<bool> FillAsync()
    {
        _next = 0;
        _end = 0; // It throws, and then there is nothing.
        _end = await Socket.ReceiveAsync(_buffer).Within();
        return _end > 0;
    }

    private async Task<string> ReadLineAsync()
    {
        StringBuilder line = new();
        while (true)
        {
            if (_next == _end) Assert.True(await FillAsync(), $"the peer ended within a line: \"{line}\".");
            int feed = _buffer.AsSpan(_next, _end - _next).IndexOf((byte)'\n');
            int count = feed < 0 ? _end - _next : feed + 1;
            line.Append(Encoding.Latin1.GetString(_buffer, _next, count));
            _next += count;
            if (feed >= 0) return line.ToString().TrimEnd('\r', '\n');
        }
    }

    private async Task<string> ReadChunksAsync()
    {
        StringBuilder body = new();
        while (true)
        {
            int size = int.Parse(await ReadLineAsync(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Append(await ReadTextAsync(size));
            Assert.Equal("", await ReadLineAsync());
            if (size == 0) return body.ToString();
        }
    }
}

/// <summary>A response as it came.</summary>
internal sealed record RawResponse(string Head, string Body)
{
    public int Status => int.Parse(Head.AsSpan("HTTP/1.1 ".Length, 3), CultureInfo.InvariantCulture);

    public string? Header(string name) => Head.Split("\r\n")
        .Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
        .Select(line => line[(name.Length + 1)..].Trim())
        .FirstOrDefault();
}
