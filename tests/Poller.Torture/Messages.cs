using System.Buffers.Binary;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Torture;

// A message is sent and received as a whole or not at all. So a send or a receive that was interrupted has done nothing, and nothing is
// ever sent twice: each message must arrive once.

/// <summary>The messages of one sender. Each depends on the sender's seed and on its number, which stands at its beginning.</summary>
internal readonly struct MessagePattern(int seed, int maxLength)
{
    public const int HeaderLength = sizeof(int);

    public byte[] this[int number]
    {
        get
        {
            Random random = new(seed ^ (number * 0x01000193));
            byte[] message = new byte[random.Next(8) == 0 ? HeaderLength : random.Next(HeaderLength, maxLength + 1)];
            BinaryPrimitives.WriteInt32LittleEndian(message, number);
            new Pattern(seed ^ number).Fill(0, message.AsSpan(HeaderLength));
            return message;
        }
    }
}

/// <summary>Checks the messages of one sender: that each is whole, and arrives once.</summary>
internal sealed class MessageReader(MessagePattern pattern, int total, bool inOrder)
{
    private readonly bool[] _seen = new bool[total];

    /// <summary>How many messages have arrived.</summary>
    public int Count { get; private set; }

    /// <summary>Takes a message. Returns its number.</summary>
    /// <exception cref="InvalidDataException">It is none that may come now.</exception>
    public int Take(ReadOnlySpan<byte> message)
    {
        if (message.Length < MessagePattern.HeaderLength) throw new InvalidDataException($"a message of {message.Length} bytes came");
        int number = BinaryPrimitives.ReadInt32LittleEndian(message);
        if ((uint)number >= (uint)total) throw new InvalidDataException($"message {number} of {total} came");
        if (inOrder && number != Count) throw new InvalidDataException($"message {number} came; {Count} was expected");
        if (_seen[number]) throw new InvalidDataException($"message {number} came twice");
        if (!message.SequenceEqual(pattern[number])) throw new InvalidDataException($"message {number} came with other bytes");
        _seen[number] = true;
        Count++;
        return number;
    }
}

/// <summary>Interrupts some operations of one direction by deadlines and cancellations. One at a time.</summary>
internal sealed class Interruptions(Torture torture, PollMode mode, Action<PollMode, TimeSpan> setDeadline, Random plan)
{
    private const int OneIn = 16; // So many operations get a deadline, and as many a cancellation.

    /// <summary>Whether somebody else may have set a deadline.</summary>
    public Func<bool> MayExpire { get; init; } = static () => false;

    /// <summary>Runs an operation. False if it was interrupted.</summary>
    public async ValueTask<bool> RunAsync(Func<CancellationToken, ValueTask> operation)
    {
        CancellationTokenSource source = new();
        bool isLimited = plan.Next(OneIn) == 0;
        if (isLimited) setDeadline(mode, TimeSpan.FromMicroseconds(plan.Next(3) == 0 ? 0 : plan.Next(500)));
        else if (plan.Next(OneIn) == 0) torture.Chaos.Soon(source.Cancel, plan);
        try
        {
            await operation(source.Token);
            torture.Figures.Add(Figure.Operations);
            return true;
        }
        catch (NetOpException e) when (e.IsTimeout && (isLimited || MayExpire()))
        {
            torture.Figures.Add(Figure.Deadlines);
            return false;
        }
        catch (OperationCanceledException e) when (e.CancellationToken == source.Token && source.IsCancellationRequested)
        {
            torture.Figures.Add(Figure.Cancellations);
            return false;
        }
        finally
        {
            if (isLimited) EndDeadline();
        }
    }

    private void EndDeadline()
    {
        try
        {
            setDeadline(mode, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The operation itself said so, or the next one will.
        }
    }
}

/// <summary>One part of a round.</summary>
/// <param name="activity">It says what the part awaits.</param>
/// <param name="blocks">Whether it makes blocking calls; it then has a thread of its own.</param>
/// <param name="plan">Its own plan.</param>
internal delegate Task Part(Activity activity, bool blocks, Random plan);

/// <summary>Runs the parts of a round beside each other, each as an activity.</summary>
internal sealed class Parts(Torture torture, string name, Ending ending)
{
    /// <summary>Runs a part, by blocking calls if the plan says so. False if a close beside it ended it.</summary>
    public Task<bool> RunAsync(string part, Random plan, Part run)
    {
        Random own = new(plan.Next());
        bool blocks = plan.Next(8) == 0;
        return RunAsync(part, blocks, activity => run(activity, blocks, own));
    }

    /// <summary>Runs a part. False if a close beside it ended it.</summary>
    /// <param name="part">What it does; the name is shown if it is stuck.</param>
    /// <param name="blocks">Whether it makes blocking calls, and so needs a thread of its own.</param>
    /// <param name="run">The part.</param>
    public async Task<bool> RunAsync(string part, bool blocks, Func<Activity, Task> run)
    {
        Activity activity = torture.Activities.Begin($"{name}, {part}{(blocks ? " by blocking calls" : "")}");
        try
        {
            if (blocks) await torture.Descriptors.OnOwnThreadAsync(() => run(activity).GetAwaiter().GetResult());
            else await run(activity);
            return true;
        }
        catch (Exception e) when (ending.Allows(e))
        {
            return false;
        }
#pragma warning disable CA1031 // Whatever goes wrong is the run's failure.
        catch (Exception e)
#pragma warning restore CA1031
        {
            torture.Fail($"{activity}: {e}");
            throw;
        }
        finally
        {
            torture.Activities.End(activity);
        }
    }

    /// <summary>Closes sockets, one a moment after the other, beside what the parts do.</summary>
    public async Task AbortAsync(Random plan, params IDisposable[] sockets)
    {
        await Task.Delay(plan.Next(1, 6));
        plan.Shuffle(sockets);
        foreach (IDisposable socket in sockets)
        {
            await torture.Chaos.SoonAsync(() =>
            {
                ending.IsAbortive = true;
                torture.Figures.Add(Figure.Closes);
                socket.Dispose();
            }, plan);
        }
    }
}
