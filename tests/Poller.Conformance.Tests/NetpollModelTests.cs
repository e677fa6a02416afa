using FsCheck;
using FsCheck.Fluent;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance.Tests;

/// <summary>The model by itself: no descriptor is opened, what the kernel would say is said by hand.</summary>
public sealed class NetpollModelTests
{
    private const PollTrigger Edge = PollTrigger.Edge, Level = PollTrigger.Level;
    private const PollMode Neither = PollMode.None, Read = PollMode.Read, Write = PollMode.Write, Both = PollMode.ReadWrite;
    private const int UnixA = 0, UnixB = 1, PipeReader = 4, TcpA = 8, TcpB = 9;

    private NetpollModel _model = new(Edge);
    private int _commands;

    [Fact]
    public void The_pool_has_two_channels_of_each_kind() =>
        Assert.Equal(
            "unix0a unix0b unix1a unix1b pipe2r pipe2w pipe3r pipe3w tcp4a tcp4b tcp5a tcp5b",
            string.Join(' ', _model.Ends));

    [Fact]
    public void What_Open_finds_ready_is_due_once()
    {
        NetpollEnd end = Open(UnixA, ready: Both);

        Assert.Equal(2, Dues().Length);
        Assert.Null(Polled(end, Readable));
        Assert.Contains("Writable of unix0a", Assert.Single(Dues()), StringComparison.Ordinal);
        Assert.Null(Polled(end, Writable));
        Assert.Empty(Dues());
        Assert.Null(_model.Settled());
    }

    [Fact]
    public void Bytes_are_due_until_they_are_reported_or_read()
    {
        NetpollEnd end = OpenQuietly(UnixA);

        Arrive(end, 10);
        Assert.Contains("an edge since command ", Assert.Single(Dues()), StringComparison.Ordinal);
        Take(end, 4);
        Assert.Single(Dues());
        Take(end, 6);
        Assert.Empty(Dues());

        Arrive(end, 1);
        Assert.Null(Polled(end, Readable));
        Assert.Empty(Dues());
        Arrive(end, 1); // Nobody has read the first.
        Assert.Empty(Dues());
        Take(end, 2);
        Arrive(end, 1);
        Assert.Single(Dues());
        Assert.Contains("Readable of unix0a", _model.Settled(), StringComparison.Ordinal);
    }

    [Fact]
    public void Room_is_due_after_a_write_would_have_blocked()
    {
        NetpollEnd end = OpenQuietly(UnixA);
        See(end, Neither);
        See(end, Write);
        Assert.Empty(Dues()); // Nobody was refused.

        end.Wrote(-Errno.EAGAIN.Number);
        See(end, Neither);
        Assert.Empty(Dues());
        See(end, Write);
        Assert.Contains("Writable of unix0a", Assert.Single(Dues()), StringComparison.Ordinal);
        Assert.Null(Polled(end, Writable));
        See(end, Write);
        Assert.Empty(Dues());
    }

    [Fact]
    public void An_end_is_due_with_its_hang_up_also_behind_bytes_that_were_reported()
    {
        NetpollEnd end = OpenQuietly(UnixA);
        Arrive(end, 3);
        Assert.Null(Polled(end, Readable));

        Next();
        _model.ShutWrite(end.Peer);
        See(end, Both);

        Assert.Contains("Readable with ReadHangup of unix0a", Assert.Single(Dues()), StringComparison.Ordinal);
        Assert.Null(Polled(end, Readable));
        Assert.Single(Dues());
        Assert.Null(Polled(end, Readable | ReadHangup));
        Assert.Empty(Dues());
    }

    [Fact]
    public void Over_TCP_an_end_behind_more_than_a_buffer_is_not_due_yet()
    {
        NetpollEnd end = OpenQuietly(TcpA);
        Arrive(end, 100_000);
        Assert.Null(Polled(end, Readable));

        _model.ShutWrite(end.Peer);
        See(end, Both);
        Assert.Empty(Dues());

        Take(end, 99_000);
        Assert.Single(Dues());
    }

    [Fact]
    public void Bytes_on_their_way_after_a_short_read_are_an_edge()
    {
        NetpollEnd end = OpenQuietly(TcpA);
        Arrive(end, 10);
        Assert.Null(Polled(end, Readable));

        Next();
        end.Took(asked: 100, result: 4);
        See(end, Both);

        Assert.Single(Dues());
    }

    [Fact]
    public void A_level_is_due_when_it_is_armed_and_ready_and_delivery_disarms()
    {
        _model = new NetpollModel(Level);
        NetpollEnd end = Open(UnixA, ready: Write);
        Assert.Empty(Dues());

        _model.Armed(end, Both);
        Assert.Contains("Writable of unix0a", Assert.Single(Dues()), StringComparison.Ordinal);
        Assert.Contains("not ready: Readable of unix0a", _model.Describe(), StringComparison.Ordinal);
        Assert.Null(Polled(end, Writable));
        Assert.Empty(Dues());
        Assert.Contains("not armed: Writable of unix0a", _model.Describe(), StringComparison.Ordinal);

        Arrive(end, 1);
        Assert.Contains("Readable of unix0a", Assert.Single(Dues()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Writable, Neither, "it is not armed")]
    [InlineData(Readable | Writable, Write, "it is not armed")]
    [InlineData(Readable, Both, "it is not ready")]
    [InlineData(ReadHangup, Both, "an event without a direction")]
    [InlineData(None, Both, "an event without a direction")]
    [InlineData(Writable | ReadHangup, Both, "there is neither an end nor an error")]
    [InlineData(Writable | Error, Both, "there is no error")]
    public void A_level_triggered_poller_must_not_report(PollReadiness readiness, PollMode armed, string fault)
    {
        _model = new NetpollModel(Level);
        NetpollEnd end = Open(UnixA, ready: Write);
        _model.Armed(end, armed);

        Assert.Contains(fault, Polled(end, readiness), StringComparison.Ordinal);
    }

    [Fact]
    public void A_level_that_rose_during_the_poll_may_be_reported()
    {
        _model = new NetpollModel(Level);
        NetpollEnd end = Open(TcpA, ready: Neither);
        _model.Armed(end, Write);

        _model.Polling();
        _model.Observe(end, Write);

        Assert.Null(_model.Polled([new PollEvent(end.Token!.Value, Writable)], NetpollWait.None, timedOut: true, breakCame: false));
    }

    [Fact]
    public void Tokens_that_are_not_open_must_not_be_reported()
    {
        NetpollEnd end = OpenQuietly(UnixA);
        PollToken first = end.Token!.Value;
        Next();
        _model.Closed(end);

        Assert.Contains("unix0a closed it at command ", Polled(first, Readable), StringComparison.Ordinal);
        Open(UnixA, ready: Write);
        Assert.NotEqual(first, end.Token);
        Assert.Contains("unix0a closed it at command ", Polled(first, Readable), StringComparison.Ordinal);
        Assert.Contains("never opened", Polled(new PollToken(99), Readable), StringComparison.Ordinal);
        Assert.Contains("wake-up", Polled(PollToken.Wakeup, Readable), StringComparison.Ordinal);
    }

    [Fact]
    public void Close_forgets_what_was_due()
    {
        NetpollEnd end = Open(UnixA, ready: Both);
        _model.ShutWrite(end.Peer);

        _model.Closed(end);

        Assert.Empty(Dues());
        See(end, Both);
        Assert.Empty(Dues());
    }

    [Fact]
    public void A_new_channel_under_old_numbers_has_new_tokens()
    {
        NetpollEnd end = OpenQuietly(UnixA);
        PollToken first = end.Token!.Value;
        _model.Closed(end);

        _model.Make(0);

        Assert.Equal(first.Slot, _model.NextToken(_model.Ends[UnixA]).Slot);
        Assert.Equal(first.Sequence + 1, _model.NextToken(_model.Ends[UnixA]).Sequence);
    }

    [Fact]
    public void Edges_may_be_spurious_but_not_without_end()
    {
        NetpollEnd end = OpenQuietly(UnixA);

        string? fault = null;
        int reports = 0;
        for (; fault is null && reports < 100; reports++) fault = Polled(end, Readable, next: false);

        Assert.Contains("a loop would spin", fault, StringComparison.Ordinal);
        Assert.InRange(reports, 2, 10);
        Assert.Null(Polled(end, Readable)); // Something else was done.
    }

    [Fact]
    public void The_direction_a_pipes_end_does_not_have_is_never_due()
    {
        NetpollEnd end = Open(PipeReader, ready: Both);

        Assert.Contains("Readable of pipe2r", Assert.Single(Dues()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_Break_ends_one_poll_that_blocks()
    {
        _model.Broke();
        Assert.True(_model.MustReturn);
        Assert.Null(Empty(NetpollWait.None));
        Assert.True(_model.BreakIsPending);
        Assert.Null(Empty(NetpollWait.Long, timedOut: false));
        Assert.False(_model.MustReturn);
        Assert.Contains("nobody had called Break", Empty(NetpollWait.Short, timedOut: false), StringComparison.Ordinal);
    }

    [Fact]
    public void A_Break_that_a_poll_waits_in_vain_for_is_a_fault()
    {
        _model.Broke();

        Assert.Contains("for a Break that was called", Empty(NetpollWait.Long, timedOut: true), StringComparison.Ordinal);
    }

    [Fact]
    public void A_poll_with_events_may_have_seen_the_Break_or_not()
    {
        NetpollEnd end = OpenQuietly(UnixA);
        _model.Broke();
        Arrive(end, 1);
        _model.Polling();
        Assert.Null(_model.Polled([new PollEvent(end.Token!.Value, Readable)], NetpollWait.Short, timedOut: false, breakCame: false));
        Assert.False(_model.BreakIsPending);
        Assert.Null(Empty(NetpollWait.Short, timedOut: false));
        Assert.Contains("nobody had called Break", Empty(NetpollWait.Short, timedOut: false), StringComparison.Ordinal);
    }

    [Fact]
    public void A_Break_during_the_poll_is_one_and_a_second_one_may_be_left()
    {
        Assert.Null(Empty(NetpollWait.Long, timedOut: false, breakCame: true));
        Assert.Contains("nobody had called Break", Empty(NetpollWait.Short, timedOut: false), StringComparison.Ordinal);

        _model.Broke();
        Assert.Null(Empty(NetpollWait.Long, timedOut: false, breakCame: true));
        Assert.False(_model.BreakIsPending);
        Assert.Null(Empty(NetpollWait.Short, timedOut: false));
    }

    [Fact]
    public void A_poll_without_events_while_something_is_due_is_a_fault_but_where_a_Break_ended_it()
    {
        NetpollEnd end = OpenQuietly(UnixA);
        Arrive(end, 1);

        Assert.Contains("a poll that does not block reported nothing", Empty(NetpollWait.None), StringComparison.Ordinal);
        Assert.Contains("waited its whole time-out", Empty(NetpollWait.Long, timedOut: true), StringComparison.Ordinal);
        _model.Broke();
        Assert.Null(Empty(NetpollWait.Short, timedOut: false));
        Assert.Single(Dues());
    }

    [Fact]
    public void What_is_due_over_TCP_may_be_late_for_a_poll_that_does_not_wait()
    {
        NetpollEnd end = OpenQuietly(TcpB);
        Arrive(end, 1);

        Assert.True(_model.IsDueOverTcp);
        Assert.Null(Empty(NetpollWait.None));
        Assert.Null(Empty(NetpollWait.Short, timedOut: true));
        Assert.Contains("waited its whole time-out", Empty(NetpollWait.Long, timedOut: true), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnixA, true)]
    [InlineData(TcpA, true)]
    public void A_close_makes_the_peer_readable(int index, bool readable)
    {
        NetpollEnd end = OpenQuietly(index);
        Assert.False(end.IsReadable);

        _model.Vanished(end.Peer);

        Assert.Equal(readable, end.IsReadable);
        Assert.True(end.MayHangUp);
    }

    [Fact]
    public void A_close_with_bytes_unread_resets_a_TCP_connection()
    {
        NetpollEnd end = OpenQuietly(TcpA);
        end.Wrote(10);

        _model.Vanished(end.Peer);

        Assert.True(end.IsReset);
        Assert.True(end.IsReadable);
        Assert.True(end.IsWritable);
    }

    [Theory]
    [InlineData(Edge)]
    [InlineData(Level)]
    public void A_seed_is_a_sequence_of_at_most_200_commands(PollTrigger trigger)
    {
        Arbitrary<NetpollCommand[]> sequences = NetpollCommand.Sequences(trigger);
        HashSet<Type> kinds = [];
        for (ulong seed = 0; seed < 50; seed++)
        {
            NetpollCommand[] commands = Sample(seed);
            Assert.Equal(commands, Sample(seed));
            Assert.InRange(commands.Length, 1, 200);
            kinds.UnionWith(commands.Select(command => command.GetType()));
        }

        IEnumerable<Type> all = typeof(NetpollCommand).GetNestedTypes(System.Reflection.BindingFlags.NonPublic)
            .Where(type => type.IsAssignableTo(typeof(NetpollCommand)));
        Assert.Equal(
            all.Where(type => trigger == Level || type != typeof(NetpollCommand.Arm)).OrderBy(type => type.Name),
            kinds.OrderBy(type => type.Name));

        NetpollCommand[] Sample(ulong seed) => sequences.Generator.Sample(1, new Rnd(seed), 200).Single();
    }

    [Fact]
    public void A_sequence_shrinks_by_taking_commands_out_and_making_them_simpler()
    {
        NetpollCommand[] commands = [new NetpollCommand.Open(0), new NetpollCommand.Write(1, 500), new NetpollCommand.Poll(1, 0)];

        List<NetpollCommand[]> shorter = [.. NetpollCommand.Sequences(Edge).Shrinker(commands)];

        Assert.Contains(shorter, candidate => candidate.SequenceEqual([commands[0], commands[2]]));
        Assert.Contains(shorter, candidate => candidate.SequenceEqual([commands[0], new NetpollCommand.Write(1, 1), commands[2]]));
        Assert.All(shorter, candidate => Assert.NotEqual(commands, candidate));
    }

    private string[] Dues() => [.. _model.Dues(_ => true)];

    private void Next() => _model.Begin(++_commands, "a command");

    private void See(NetpollEnd end, PollMode ready)
    {
        Next();
        _model.Observe(end, ready);
    }

    private NetpollEnd Open(int index, PollMode ready)
    {
        NetpollEnd end = _model.Ends[index];
        See(end, ready);
        _model.Opened(end);
        return end;
    }

    private NetpollEnd OpenQuietly(int index)
    {
        NetpollEnd end = Open(index, Write);
        Assert.Null(Polled(end, Writable));
        Assert.Empty(Dues());
        return end;
    }

    private void Arrive(NetpollEnd end, int count)
    {
        Next();
        end.Peer.Wrote(count);
        Assert.True(end.IsReadable);
        See(end, Both);
    }

    private void Take(NetpollEnd end, int count)
    {
        end.Took(count, count);
        See(end, end.IsReadable == true ? Both : Write);
    }

    private string? Polled(NetpollEnd end, PollReadiness readiness, bool next = true) => Polled(end.Token!.Value, readiness, next);

    private string? Polled(PollToken token, PollReadiness readiness, bool next = true)
    {
        if (next) Next();
        _model.Polling();
        return _model.Polled([new PollEvent(token, readiness)], NetpollWait.None, timedOut: true, breakCame: false);
    }

    private string? Empty(NetpollWait wait, bool timedOut = true, bool breakCame = false)
    {
        Next();
        _model.Polling();
        return _model.Polled([], wait, timedOut, breakCame);
    }
}
