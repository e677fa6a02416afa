using Poller.Torture.Workloads;

namespace Poller.Torture;

/// <summary>
/// A kind of work: some workers, each of which does one round after the other until the time is over. A further kind is one more class, and
/// one more line in <see cref="All"/>.
/// </summary>
internal abstract class Workload(Torture torture)
{
    protected Torture Torture { get; } = torture;

    /// <summary>Its name in failures and in the seeds of its plans.</summary>
    protected string Name => GetType().Name;

    /// <summary>How many workers it has.</summary>
    protected abstract int Workers { get; }

    public static Workload[] All(Torture torture) =>
    [
        new TcpStreams(torture),
        new UdpPackets(torture),
        new UnixSockets(torture),
        new FileStreams(torture),
        new EventFds(torture),
        new Closes(torture),
        new BreakStorms(torture),
        new Shortages(torture),
    ];

    public async Task RunAsync()
    {
        Activity activity = Torture.Activities.Begin(Name);
        try
        {
            activity.Awaits("the begin");
            await BeginAsync();
            Torture.Activities.End(activity);
            await Task.WhenAll(Enumerable.Range(0, Workers).Select(index => Task.Run(() => WorkAsync(index))));
            activity = Torture.Activities.Begin(Name);
            activity.Awaits("the end");
            await EndAsync();
            Torture.Activities.End(activity);
        }
#pragma warning disable CA1031 // Whatever goes wrong is the run's failure.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Torture.Fail($"{Name}: {e}");
        }
    }

    /// <summary>Fails the run if a figure of the whole run cannot be.</summary>
    public virtual void CheckFigures() { }

    /// <summary>Prepares what the rounds share.</summary>
    protected virtual Task BeginAsync() => Task.CompletedTask;

    /// <summary>One round of a worker. What it throws is the run's failure. The same numbers give the same plan.</summary>
    protected abstract Task RoundAsync(Random plan, Activity activity);

    /// <summary>Gives back what the rounds share.</summary>
    protected virtual Task EndAsync() => Task.CompletedTask;

    private async Task WorkAsync(int index)
    {
        Random random = Torture.RandomOf(Name, index);
        for (int round = 0; !Torture.IsOver; round++)
        {
            int seed = random.Next();
            Activity activity = Torture.Activities.Begin($"{Name} {index}, round {round}");
            try
            {
                await RoundAsync(new Random(seed), activity);
            }
#pragma warning disable CA1031 // Whatever goes wrong is the run's failure.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Torture.Fail($"{activity}: {e}");
                return;
            }
            Torture.Activities.End(activity);
        }
    }
}
