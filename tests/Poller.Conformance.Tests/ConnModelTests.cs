using FsCheck;
using FsCheck.Fluent;
using Poller.Abstractions;

namespace Poller.Conformance.Tests;

/// <summary>What the connection model allows, without a connection.</summary>
public sealed class ConnModelTests
{
    private readonly ConnModel _model = new();

    private ConnEnd Client => _model.Ends[0];

    private ConnEnd Server => _model.Ends[1];

    [Fact]
    public void A_read_waits_for_bytes()
    {
        ConnOp read = Read(Server, 100);
        Assert.Equal((ConnOutcomes.None, false), (read.Allowed, read.Must));
        ConnOp write = Write(Client, 100);
        Assert.Equal((ConnOutcomes.Done, true), (write.Allowed, write.Must));
        Assert.Equal(ConnOutcomes.Done, read.Allowed);
        Assert.Null(Complete(write, ConnOutcomes.Done));
        Assert.True(read.Must);
        Assert.Null(Complete(read, ConnOutcomes.Done, ConnStream.BytesOf(write.Segment!)));
    }

    [Fact]
    public void A_read_that_is_over_for_nothing_is_a_fault() =>
        Assert.Equal("Read of the server came to End; it was expected to wait", Complete(Read(Server, 1), ConnOutcomes.End));

    [Fact]
    public void A_write_has_room_for_sure_and_then_may_wait()
    {
        ConnOp first = Write(Client, ConnModel.RoomForSure);
        Assert.True(first.Must);
        Complete(first, ConnOutcomes.Done);
        ConnOp second = Write(Client, 1);
        Assert.Equal((ConnOutcomes.Done, false), (second.Allowed, second.Must));
        Read(Server, 1);
        Complete(Server.Reads[0], ConnOutcomes.Done, ConnStream.BytesOf(first.Segment!).AsSpan(0, 1));
        Assert.True(second.Must);
    }

    [Fact]
    public void A_past_deadline_is_all_there_is_and_a_cleared_one_is_none()
    {
        Server.SetDeadline(PollMode.ReadWrite, ConnDeadline.Past);
        ConnOp write = Write(Server, 1), read = Read(Server, 1);
        Complete(Write(Client, 1), ConnOutcomes.Done);
        Assert.Equal((ConnOutcomes.Timeout, true), (write.Allowed, write.Must));
        Assert.Equal((ConnOutcomes.Timeout, true), (read.Allowed, read.Must));
        Complete(write, ConnOutcomes.Timeout);
        Assert.Equal(0, Server.Sent.PossibleBytes);
        Complete(read, ConnOutcomes.Timeout);
        Server.SetDeadline(PollMode.ReadWrite, ConnDeadline.Far);
        Assert.Equal(ConnOutcomes.Done, Read(Server, 1).Allowed);
    }

    [Fact]
    public void A_time_out_is_its_operations_own_and_the_earlier_of_it_and_the_deadline_holds()
    {
        Server.ReadTimeout = ConnDeadline.Soon;
        ConnOp read = Read(Server, 1);
        Assert.Equal((ConnOutcomes.Timeout, true), (read.Allowed, read.Must));
        Assert.False(ConnModel.CanBegin(Server, PollMode.Read, ConnCall.Read));
        Complete(read, ConnOutcomes.Timeout);
        Assert.Equal(ConnDeadline.Far, Server.ReadDeadline);

        Server.ReadDeadline = ConnDeadline.Soon;
        Complete(Read(Server, 1), ConnOutcomes.Timeout);
        Assert.Equal(ConnDeadline.Soon, Server.ReadDeadline); // Either may have come.

        Server.ReadTimeout = null;
        Complete(Read(Server, 1), ConnOutcomes.Timeout);
        Assert.Equal(ConnDeadline.Past, Server.ReadDeadline);

        Server.ReadTimeout = ConnDeadline.Far;
        Complete(Write(Client, 1), ConnOutcomes.Done);
        Assert.Equal((ConnOutcomes.Timeout, true), (Read(Server, 1).Allowed, Server.Reads[0].Must));
    }

    [Fact]
    public void Those_who_queue_have_their_turn_and_may_leave_before()
    {
        ConnOp first = Read(Server, 1), second = Read(Server, 1);
        second.IsCanceled = true;
        _model.Evaluate();
        Assert.False(first.Must);
        Assert.Equal((ConnOutcomes.Canceled, true), (second.Allowed, second.Must));
        Complete(second, ConnOutcomes.Canceled);
        ConnOp third = Read(Server, 1);
        _model.CloseWrite(Client);
        _model.Evaluate();
        Assert.Equal((ConnOutcomes.End, true), (first.Allowed, first.Must));
        Assert.Equal((ConnOutcomes.End, false), (third.Allowed, third.Must));
    }

    [Fact]
    public void The_end_comes_after_the_last_byte()
    {
        ConnOp write = Write(Client, 10);
        Complete(write, ConnOutcomes.Done);
        _model.CloseWrite(Client);
        ConnOp read = Read(Server, 10);
        Assert.Equal((ConnOutcomes.Done, true), (read.Allowed, read.Must));
        Complete(read, ConnOutcomes.Done, ConnStream.BytesOf(write.Segment!).AsSpan(0, 9));
        Assert.Equal(ConnOutcomes.Done, Read(Server, 10).Allowed);
        Complete(Server.Reads[0], ConnOutcomes.Done, ConnStream.BytesOf(write.Segment!).AsSpan(9));
        Assert.Equal(ConnOutcomes.End, Read(Server, 10).Allowed);
        Assert.Equal(ConnOutcomes.Shutdown, Write(Client, 1).Allowed);
    }

    [Fact]
    public void A_close_ends_its_own_and_is_an_end_or_a_reset_for_the_peer()
    {
        ConnOp read = Read(Client, 1);
        _model.Dispose(Client);
        ConnOp peers = Read(Server, 1);
        Assert.Equal((ConnOutcomes.Closed, true), (read.Allowed, read.Must));
        Assert.Equal((ConnOutcomes.End, true), (peers.Allowed, peers.Must));
        Assert.Equal(ConnOutcomes.Disposed, ConnModel.Begin(Client, PollMode.Read, ConnCall.Read, 1, isCanceled: false).Allowed);
        ConnOp write = Write(Server, 1);
        Assert.Equal((ConnOutcomes.Done | ConnOutcomes.Reset | ConnOutcomes.Shutdown, true), (write.Allowed, write.Must));
        _model.Evaluate();
        Assert.Equal(ConnOutcomes.End | ConnOutcomes.Reset, peers.Allowed);
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(false, true, true)] // Its end tells how wide its window is.
    [InlineData(true, false, true)] // It answers for what it leaves unread.
    public void A_peer_that_leaves_with_its_window_shut_and_nothing_unread_may_say_nothing(bool ended, bool hasRead, bool must)
    {
        ConnOp filling = Write(Server, 2 * ConnModel.RoomForSure);
        Complete(filling, ConnOutcomes.Done);
        if (ended) _model.CloseWrite(Client);
        byte[] sent = ConnStream.BytesOf(filling.Segment!);
        if (hasRead) Complete(Read(Client, sent.Length), ConnOutcomes.Done, sent.AsSpan(0, ConnModel.RoomForSure));
        ConnOp write = Write(Server, 100 * ConnModel.RoomForSure);
        _model.Dispose(Client);
        _model.Evaluate();
        Assert.Equal((ConnOutcomes.Done | ConnOutcomes.Reset | ConnOutcomes.Shutdown, must), (write.Allowed, write.Must));
    }

    [Fact]
    public void Of_a_write_that_failed_any_part_may_come_and_then_the_next()
    {
        for (int sent = 0; sent <= 50; sent += 10)
        {
            ConnStream stream = new();
            ConnSegment torn = stream.Append(50), next = stream.Append(20);
            (torn.Possible, next.Possible, next.Certain) = (50, 20, 20);
            Assert.Equal((20, 70), (stream.CertainBytes, stream.PossibleBytes));
            Assert.Null(stream.Deliver([.. ConnStream.BytesOf(torn)[..sent], .. ConnStream.BytesOf(next)]));
            Assert.Equal((0, 0, 20 + sent), (stream.CertainBytes, stream.PossibleBytes, stream.Delivered));
        }
    }

    [Fact]
    public void Loss_repetition_and_disorder_are_told_apart()
    {
        Assert.Contains(": 3 were lost (", Deliver(bytes => [.. bytes[..100], .. bytes[103..]]), StringComparison.Ordinal);
        Assert.Contains(": 5 came again (", Deliver(bytes => [.. bytes[..100], .. bytes[95..]]), StringComparison.Ordinal);
        string disorder = Deliver(bytes => [.. bytes[..100], .. bytes[100..].Reverse()]);
        Assert.Contains(": changed or out of order (", disorder, StringComparison.Ordinal);
        Assert.Contains(", and nothing more was sent (", Deliver(bytes => [.. bytes, bytes[0]]), StringComparison.Ordinal);

        static string Deliver(Func<byte[], byte[]> spoil)
        {
            ConnStream stream = new();
            ConnSegment segment = stream.Append(1000);
            (segment.Possible, segment.Certain) = (1000, 1000);
            string? fault = stream.Deliver(spoil(ConnStream.BytesOf(segment)));
            Assert.NotNull(fault);
            return fault;
        }
    }

    [Fact]
    public void A_write_waits_for_an_alphabet_that_no_unread_write_may_be_taken_for()
    {
        ConnStream stream = new();
        for (int i = 0; i < 8; i++)
        {
            Assert.True(stream.CanAppend);
            stream.Append(10).Possible = 10;
        }
        Assert.False(stream.CanAppend);
    }

    [Fact]
    public void A_seed_is_a_sequence_and_every_command_and_call_comes()
    {
        HashSet<Type> kinds = [];
        HashSet<ConnCall> calls = [];
        for (ulong seed = 0; seed < 100; seed++)
        {
            ConnCommand[] commands = Sample(seed);
            Assert.Equal(commands, Sample(seed));
            Assert.InRange(commands.Length, 1, ConnCommand.MaxLength);
            kinds.UnionWith(commands.Select(command => command.GetType()));
            calls.UnionWith(commands.OfType<ConnCommand.Read>().Select(read => read.Call));
            calls.UnionWith(commands.OfType<ConnCommand.Write>().Select(write => write.Call));
        }
        Type[] all = typeof(ConnCommand).GetNestedTypes(System.Reflection.BindingFlags.NonPublic);
        IEnumerable<string> names = all.Where(type => type.IsAssignableTo(typeof(ConnCommand))).Select(type => type.Name);
        Assert.Equal(names.Order(StringComparer.Ordinal), kinds.Select(type => type.Name).Order(StringComparer.Ordinal));
        Assert.Equal(Enum.GetValues<ConnCall>(), calls.Order());

        static ConnCommand[] Sample(ulong seed) => ConnCommand.Sequences.Generator.Sample(1, new Rnd(seed), ConnCommand.MaxLength).Single();
    }

    [Fact]
    public void A_sequence_shrinks_by_taking_commands_out_and_making_them_simpler()
    {
        ConnCommand.Write write = new(0, ConnCall.Write, 500, Blocking: true, ConnToken.None);
        ConnCommand[] commands = [write, new ConnCommand.CloseRead(0), new ConnCommand.Dispose(1)];

        List<ConnCommand[]> shorter = [.. ConnCommand.Sequences.Shrinker(commands)];

        Assert.Contains(shorter, candidate => candidate.SequenceEqual([write, commands[2]]));
        Assert.Contains(shorter, candidate => candidate.SequenceEqual([write with { Count = 1 }, commands[1], commands[2]]));
        Assert.All(shorter, candidate => Assert.NotEqual(commands, candidate));
    }

    private ConnOp Read(ConnEnd end, int count) => Begin(end, PollMode.Read, ConnCall.Read, count);

    private ConnOp Write(ConnEnd end, int count) => Begin(end, PollMode.Write, ConnCall.Write, count);

    private ConnOp Begin(ConnEnd end, PollMode mode, ConnCall call, int count)
    {
        ConnOp op = ConnModel.Begin(end, mode, call, count, isCanceled: false);
        _model.Evaluate();
        return op;
    }

    private string? Complete(ConnOp op, ConnOutcomes outcome, ReadOnlySpan<byte> bytes = default)
    {
        string? fault = _model.Complete(op, outcome, bytes);
        _model.Evaluate();
        return fault;
    }
}
