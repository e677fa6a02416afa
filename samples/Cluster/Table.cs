using System.Globalization;

namespace Cluster;

/// <summary>A table of text: the first column to the left, the others to the right.</summary>
internal sealed class Table(params string[] header)
{
    private readonly List<string[]> _rows = [header];

    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    public static string Ratio(double value) => value.ToString("N2", CultureInfo.InvariantCulture);

    public static string Decimal(double value) => value.ToString("N1", CultureInfo.InvariantCulture);

    public void Add(params string[] row) => _rows.Add(row);

    public void Print()
    {
        int[] widths = [.. Enumerable.Range(0, header.Length).Select(column => _rows.Max(row => row[column].Length))];
        Console.WriteLine();
        foreach (string[] row in _rows)
        {
            IEnumerable<string> cells = row.Select((cell, column) => column == 0 ? cell.PadRight(widths[0]) : cell.PadLeft(widths[column]));
            Console.WriteLine(string.Join("  ", cells));
        }
    }
}
