using Poller.Net;

namespace Poller.Torture.Workloads;

/// <summary>
/// Now and then lowers the process's limit of descriptors (RLIMIT_NOFILE), so that accepts and dials meet EMFILE, and raises it again.
/// </summary>
internal sealed class Shortages(Torture torture) : Workload(torture)
{
    private const int Free = 8; // Beside the last ones, which the net layer leaves to .NET.

    protected override int Workers => 1;

    protected override async Task RoundAsync(Random plan, Activity activity)
    {
        activity.Awaits("the time of a shortage");
        await Torture.DelayAsync(TimeSpan.FromMilliseconds(plan.Next(300, 3000)));
        if (Torture.IsOver) return;
        Torture.Descriptors.IsShort = true;
        try
        {
            await Task.Delay(20); // Those that open descriptors of their own see it.
            Torture.Figures.Add(Figure.Shortages);
            using DescriptorLimit limit = DescriptorLimit.Leaving(DescriptorReserve.Size + Free);
            activity.Awaits("the end of a shortage");
            await Task.Delay(plan.Next(50, 400));
        }
        finally
        {
            Torture.Descriptors.IsShort = false;
        }
    }
}
