using System.Globalization;
using System.Text;

namespace Cluster;

/// <summary>
/// A file to which an account writes each call before it answers: <c>+7</c> when it executes call 7, and <c>=7</c> when call 7 comes again
/// after that. It outlives the silo's process, because a line is one write(2), which the process hands to the system. It need not outlive
/// the machine. Whoever has it open has it alone, so two silos that both believe they have the account cannot both execute its calls.
/// Not thread-safe.
/// </summary>
internal sealed class Ledger : IDisposable
{
    private readonly string _account;
    private readonly FileStream _file;

    private int _last;

    private Ledger(string account, FileStream file, int last)
    {
        _account = account;
        _file = file;
        _last = last;
    }

    /// <exception cref="IOException">Another silo has it open.</exception>
    public static Ledger Open(string folder, string account)
    {
        // FileShare.None locks the file (flock(2)) against every other process that opens it so. The lock ends with the process.
        FileStream file = new(PathOf(folder, account), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        try
        {
            using StreamReader reader = new(file, leaveOpen: true);
            int last = ReadLines(reader).Aggregate(0, static (last, line) => Math.Max(last, line.Number));
            file.Seek(0, SeekOrigin.End);
            return new Ledger(account, file, last);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Executes a call, unless it was executed before.</summary>
    /// <exception cref="InvalidOperationException">A call before it is missing.</exception>
    public void Execute(int number)
    {
        if (number > _last + 1)
        {
            throw new InvalidOperationException($"Account {_account}: call {number} came after call {_last}; {_last + 1} was expected.");
        }
        bool isRepeated = number <= _last;
        _file.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{(isRepeated ? '=' : '+')}{number}\n")));
        if (!isRepeated) _last = number;
    }

    public void Dispose() => _file.Dispose();

    /// <summary>The lines of an account's ledger; none if it has no ledger.</summary>
    public static IReadOnlyList<(bool IsExecution, int Number)> Read(string folder, string account)
    {
        string path = PathOf(folder, account);
        if (!File.Exists(path)) return [];
        using StreamReader reader = new(path);
        return [.. ReadLines(reader)];
    }

    private static string PathOf(string folder, string account) => Path.Combine(folder, account + ".ledger");

    private static IEnumerable<(bool IsExecution, int Number)> ReadLines(StreamReader reader)
    {
        while (reader.ReadLine() is { } line) yield return (line[0] == '+', int.Parse(line.AsSpan(1), CultureInfo.InvariantCulture));
    }
}
