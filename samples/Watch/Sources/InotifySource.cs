using System.Buffers.Binary;
using Poller.Net;

namespace Watch.Sources;

/// <summary>What happens to a directory and the files in it, or to a file: inotify(7). It ends when nothing is left to watch.</summary>
internal sealed class InotifySource(PolledFile file) : Source(file)
{
    private const int HeaderSize = 16; // struct inotify_event without its name
    private const int BufferSize = 64 * 1024;

    private const uint IN_MODIFY = 0x2;
    private const uint IN_IGNORED = 0x8000;

    private static readonly (uint Bit, string Name)[] Names =
    [
        (0x1, "IN_ACCESS"), (IN_MODIFY, "IN_MODIFY"), (0x4, "IN_ATTRIB"), (0x8, "IN_CLOSE_WRITE"), (0x10, "IN_CLOSE_NOWRITE"),
        (0x20, "IN_OPEN"), (0x40, "IN_MOVED_FROM"), (0x80, "IN_MOVED_TO"), (0x100, "IN_CREATE"), (0x200, "IN_DELETE"),
        (0x400, "IN_DELETE_SELF"), (0x800, "IN_MOVE_SELF"), (0x2000, "IN_UNMOUNT"), (0x4000, "IN_Q_OVERFLOW"), (IN_IGNORED, "IN_IGNORED"),
        (0x40000000, "IN_ISDIR"),
    ];

    // All that changes something, but for IN_MODIFY: our own output may go to a file in the directory, and each line would cause the next.
    private static readonly uint Changes = Bits("IN_ATTRIB", "IN_CLOSE_WRITE", "IN_MOVED_FROM", "IN_MOVED_TO", "IN_CREATE", "IN_DELETE",
        "IN_DELETE_SELF", "IN_MOVE_SELF");

    public static Source Open(Netpoller poller, string path) => new InotifySource(Poll(poller, LibC.OpenInotify(path, Changes)));

    public override async IAsyncEnumerable<string> EventsAsync()
    {
        byte[] buffer = new byte[BufferSize];
        bool isWatched = true;
        while (isWatched)
        {
            int count = await File.ReadAsync(buffer);
            for (int at = 0; at < count;)
            {
                ReadOnlyMemory<byte> rest = buffer.AsMemory(at, count - at);
                at += Decode(rest.Span, out uint mask, out string line);
                yield return line;
                isWatched &= (mask & IN_IGNORED) == 0;
            }
        }
    }

    // Returns the event's length. The kernel writes whole events only, and pads their names with NULs.
    private static int Decode(ReadOnlySpan<byte> bytes, out uint mask, out string line)
    {
        int watch = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        mask = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        int nameSize = BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]);
        ReadOnlySpan<byte> name = bytes.Slice(HeaderSize, nameSize).TrimEnd((byte)0);
        uint found = mask;
        string events = string.Join(" | ", Names.Where(name => (found & name.Bit) != 0).Select(static name => name.Name));
        line = $"watch {watch}, {events}{(name.IsEmpty ? "" : ", " + Text.Quote(name))}";
        return HeaderSize + nameSize;
    }

    private static uint Bits(params string[] names) => names.Aggregate(0u, static (bits, name) => bits | Names.Single(n => n.Name == name).Bit);
}
