namespace Poller.AspNetCore.Tests;

/// <summary>The events that a transport logs, by the numbers of the sockets transport.</summary>
public abstract class LogTests<TTransport> : IAsyncLifetime where TTransport : ITestTransport
{
    private const int ReadFin = 6, WriteFin = 7, WriteReset = 8, Reset = 19;

    private BoundTransport _transport = null!;
    private RawClient _client = null!;
    private ConnectionContext _connection = null!;

    public async Task InitializeAsync()
    {
        _transport = await BoundTransport.BindAsync<TTransport>();
        (_client, _connection) = await _transport.PairAsync();
    }

    public async Task DisposeAsync()
    {
        await _connection.DisposeAsync().Within();
        _client.Dispose();
        await _transport.DisposeAsync();
    }

    [Fact]
    public async Task The_clients_end_is_logged()
    {
        _client.EndSending();
        await _transport.Log.TransportLogged(ReadFin);
    }

    [Fact]
    public async Task A_graceful_end_is_logged()
    {
        await _connection.Transport.Output.CompleteAsync();
        await _connection.Transport.Input.CompleteAsync();
        await _connection.DisposeAsync().Within();
        await _transport.Log.TransportLogged(WriteFin);
        AssertNothingWorse();
    }

    [Fact]
    public async Task An_abort_is_logged_with_its_reason()
    {
        _connection.Abort(new ConnectionAbortedException("the reason"));
        await _transport.Log.TransportLogged(WriteReset);
        Assert.Contains(_transport.Log.OfTransport, static entry =>
            entry.EventId == WriteReset && entry.Text.Contains("the reason", StringComparison.Ordinal));
        AssertNothingWorse();
    }

    [Fact]
    public async Task A_clients_reset_is_logged()
    {
        Task closed = _connection.ConnectionClosed.Fired();
        _client.Reset();
        await closed.Within();
        await _transport.Log.TransportLogged(Reset);
        AssertNothingWorse();
    }

    [Fact]
    public async Task Every_event_names_the_connection()
    {
        _client.EndSending();
        await _transport.Log.TransportLogged(ReadFin);
        string id = _connection.ConnectionId;
        Assert.All(
            _transport.Log.OfTransport.Where(static entry => entry.EventId == ReadFin),
            entry => Assert.Contains(id, entry.Text, StringComparison.Ordinal));
    }

    /// <summary>What clients and apps may do is no warning.</summary>
    private void AssertNothingWorse() => Assert.DoesNotContain(_transport.Log.OfTransport, static entry => entry.Level > LogLevel.Debug);
}
