using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace SideBySide;

/// <summary>Draws each load's peers as bars, with the spread of the rounds: CPU for each message, throughput or latency.</summary>
internal static class Plots
{
    private const int Width = 760;
    private const int RowHeight = 34;
    private const int FrameHeight = 110;

    public static void Write(Results results, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (Load load in results.Loads)
        {
            Draw(results, load, "cpuMicroseconds", "CPU of the server for each message, µs", folder);
            if (load.PeakOf is not null) Draw(results, load, "p99Microseconds", "Latency, 99th percentile, µs", folder);
            else if (load.Kind == LoadKind.Stream) Draw(results, load, "gigabytesPerSecond", "GB/s", folder);
            else Draw(results, load, "messagesPerSecond", "Messages/s", folder);
        }
    }

    private static void Draw(Results results, Load load, string columnName, string label, string folder)
    {
        Column column = Column.All.Single(column => column.Name == columnName);
        (Peer Peer, Figure Figure)[] rows =
        [
            .. results.Peers.Reverse().Select(peer => (peer, results.Figure(column, load, peer)))
                .Where(static row => row.Item2 is not null).Select(static row => (row.peer, row.Item2!.Value)),
        ];
        if (rows.Length == 0) return;

        using Plot plot = new();
        for (int i = 0; i < rows.Length; i++)
        {
            (Peer peer, Figure figure) = rows[i];
            bool ours = peer.Name.Contains("pollerkit", StringComparison.Ordinal);
            plot.Add.Bar(new Bar
            {
                Position = i,
                Value = figure.Median,
                Orientation = Orientation.Horizontal,
                Size = 0.7,
                FillColor = Color.FromHex(ours ? "#2f6fb0" : "#9aa5b1"),
                LineWidth = 0,
            });
            double[] below = [figure.Median - figure.Least], above = [figure.Most - figure.Median];
            plot.Add.Plottable(new ErrorBar([figure.Median], [i], below, above, null, null) { Color = Colors.Black });
        }
        NumericManual ticks = new();
        for (int i = 0; i < rows.Length; i++) ticks.AddMajor(i, rows[i].Peer.Title);
        plot.Axes.Left.TickGenerator = ticks;
        plot.Axes.Left.MajorTickStyle.Length = 0;
        plot.Axes.Margins(left: 0);
        plot.Title(load.Title, size: 14);
        plot.XLabel(label);
        plot.HideGrid();
        plot.SaveSvg(Path.Combine(folder, $"{load.Name.Replace('@', '-')}-{columnName}.svg"), Width, FrameHeight + RowHeight * rows.Length);
    }
}
