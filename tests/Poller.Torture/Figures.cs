using System.Globalization;

namespace Poller.Torture;

/// <summary>What is counted.</summary>
internal enum Figure
{
    Connections,
    Streams,
    Bytes,
    Messages,
    Passed,
    NotPassed,
    Operations,
    Deadlines,
    Cancellations,
    Copies,
    HalfCloses,
    Resets,
    Closes,
    Detaches,
    Files,
    Shortages,
    Pauses,
    RefusedDials,
    AbandonedDials,
    StandStills,
    FullHandlers,
    BlockedHandlers,
}

/// <summary>The counters of a run. Safe from any thread.</summary>
internal sealed class Figures
{
    private static readonly (Figure Figure, string Text)[] Texts =
    [
        (Figure.Connections, "connections"),
        (Figure.Streams, "streams checked to their end"),
        (Figure.Bytes, "bytes checked"),
        (Figure.Messages, "messages checked"),
        (Figure.Passed, "descriptors passed"),
        (Figure.NotPassed, "descriptors passed in vain in a shortage"),
        (Figure.Operations, "operations"),
        (Figure.Deadlines, "deadlines that passed"),
        (Figure.Cancellations, "cancellations"),
        (Figure.Copies, "copies from connection to connection"),
        (Figure.HalfCloses, "half closes"),
        (Figure.Resets, "resets"),
        (Figure.Closes, "closes beside operations"),
        (Figure.Files, "files"),
        (Figure.Detaches, "files detached and opened again"),
        (Figure.Shortages, "shortages of descriptors"),
        (Figure.Pauses, "pauses of listeners in a shortage"),
        (Figure.RefusedDials, "dials refused in a shortage"),
        (Figure.AbandonedDials, "dials cancelled or timed out"),
        (Figure.StandStills, "reports of a loop that stood still"),
        (Figure.FullHandlers, "reports of MaxBlockedHandlers reached"),
        (Figure.BlockedHandlers, "reports of handlers that blocked"),
    ];

    private readonly long[] _counts = new long[Enum.GetValues<Figure>().Length];

    public long this[Figure figure] => Volatile.Read(ref _counts[(int)figure]);

    public void Add(Figure figure, long count = 1) => Interlocked.Add(ref _counts[(int)figure], count);

    /// <summary>A line for each counter.</summary>
    public IEnumerable<string> Lines() => Texts.Select(text => Line(text.Text, this[text.Figure]));

    public static string Line(string text, long value) => string.Create(CultureInfo.InvariantCulture, $"{text,-42} {value,18:N0}");

    public static string Line(string text, long before, long after) =>
        string.Create(CultureInfo.InvariantCulture, $"{text,-42} {before,8:N0} {after,9:N0}");
}
