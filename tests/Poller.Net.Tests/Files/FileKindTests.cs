using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Kinds of descriptors that System.Net.Sockets cannot await.</summary>
public abstract class FileKindTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly Errno EIO = new(5);

    [Fact]
    public async Task A_shell_on_a_terminal_answers_and_its_exit_ends_the_reads_with_EIO()
    {
        using Fixture fixture = new();
        (Fd master, string slave) = Fd.Terminal();
        using (master)
        using (PolledFile terminal = fixture.Polled(master))
        using (Process shell = Process.Start("setsid", ["sh", "-c", $"exec sh <{slave} >{slave} 2>&1"]))
        {
            await terminal.WriteAsync("echo 6 times 7 is $((6 * 7))\n"u8.ToArray());
            StringBuilder said = new();
            while (!said.ToString().Contains("6 times 7 is 42", StringComparison.Ordinal)) said.Append(await ReadTextAsync(terminal));

            await terminal.WriteAsync("exit\n"u8.ToArray());
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () =>
            {
                while (true) await ReadTextAsync(terminal);
            });
            Assert.StartsWith($"read character device fd {master.Number}: ", e.Message, StringComparison.Ordinal);
            Assert.Equal(EIO, Assert.IsType<NetpollException>(e.InnerException).Error);
            await shell.WaitForExitAsync().Within();
        }
    }

    [Fact]
    public async Task A_serial_line_passes_bytes_both_ways()
    {
        // A pair of terminals stands for the line. Its far end echoes what the near end writes, as a device with echo does.
        using Fixture fixture = new();
        (Fd far, string path) = Fd.Terminal();
        using Fd near = Fd.Open(path, Fd.ReadWrite | Fd.NonBlocking);
        using (far)
        using (PolledFile device = fixture.Polled(far))
        using (PolledFile line = fixture.Polled(near))
        {
            ValueTask<int> reading = line.ReadAsync(new byte[16]);
            Assert.False(reading.IsCompleted);
            await device.WriteAsync("OK\n"u8.ToArray());
            Assert.Equal(3, await reading.Within());
            await line.WriteAsync("AT\n"u8.ToArray());
            StringBuilder said = new();
            while (!said.ToString().EndsWith("AT\r\n", StringComparison.Ordinal)) said.Append(await ReadTextAsync(device));
        }
    }

    [Fact]
    public async Task The_writers_of_a_fifo_come_and_go()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Fd.MakeFifo(path);
        try
        {
            using Fixture fixture = new();
            using Fd staying = Fd.Open(path, Fd.ReadWrite | Fd.NonBlocking);
            using PolledFile file = fixture.Polled(staying);
            byte[] buffer = new byte[8];
            for (int i = 1; i <= 5; i++)
            {
                ValueTask<int> reading = file.ReadAsync(buffer);
                Assert.False(reading.IsCompleted); // It is a writer itself, so the others' end is not the FIFO's.
                using Fd writer = Fd.Open(path, Fd.WriteOnly | Fd.NonBlocking);
                Assert.Equal(i, writer.Write(i));
                Assert.Equal(i, await reading.Within());
            }

            // A reader alone sees the end whenever the last writer has gone, and then the next writer's bytes.
            using Fd leaving = Fd.Open(path, Fd.ReadOnly | Fd.NonBlocking);
            using PolledFile reader = fixture.Polled(leaving);
            file.Dispose();
            staying.Dispose();
            for (int i = 1; i <= 5; i++)
            {
                Assert.Equal(0, await reader.ReadAsync(buffer).Within());
                using (Fd writer = Fd.Open(path, Fd.WriteOnly | Fd.NonBlocking))
                {
                    ValueTask<int> reading = reader.ReadAsync(buffer);
                    Assert.False(reading.IsCompleted);
                    Assert.Equal(i, writer.Write(i));
                    Assert.Equal(i, await reading.Within());
                    reading = reader.ReadAsync(buffer);
                    Assert.False(reading.IsCompleted);
                    writer.Dispose();
                    Assert.Equal(0, await reading.Within());
                }
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task An_inotify_tells_of_new_files_and_of_an_overflow()
    {
        const uint Create = 0x100, Delete = 0x200, Overflow = 0x4000;
        DirectoryInfo directory = Directory.CreateTempSubdirectory();
        try
        {
            using Fixture fixture = new();
            using Fd inotify = Fd.Inotify(directory.FullName);
            using PolledFile file = fixture.Polled(inotify);
            Assert.Equal($"inotify fd {inotify.Number}", file.ToString());
            string path = Path.Combine(directory.FullName, "a");

            ValueTask<uint> next = NextAsync(file, []);
            Assert.False(next.IsCompleted);
            File.Create(path).Dispose();
            Assert.Equal(Create, await next.Within());
            next = NextAsync(file, []);
            File.Delete(path);
            Assert.Equal(Delete, await next.Within());

            int most = int.Parse(
                await File.ReadAllTextAsync("/proc/sys/fs/inotify/max_queued_events"), System.Globalization.CultureInfo.InvariantCulture);
            for (int i = 0; i <= most / 2; i++)
            {
                File.Create(path).Dispose();
                File.Delete(path);
            }
            Queue<uint> events = new();
            int count = 0;
            while (await NextAsync(file, events).Within() != Overflow) count++;
            Assert.Equal(most, count);

            // It goes on after the overflow.
            next = NextAsync(file, events);
            File.Create(path).Dispose();
            Assert.Equal(Create, await next.Within());
        }
        finally
        {
            directory.Delete(recursive: true);
        }

        static async ValueTask<uint> NextAsync(PolledFile file, Queue<uint> events)
        {
            const int HeaderSize = 16;
            if (events.Count == 0)
            {
                byte[] buffer = new byte[4096];
                int n = await file.ReadAsync(buffer).ConfigureAwait(false);
                for (int at = 0; at < n; at += HeaderSize + BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(at + 12)))
                {
                    events.Enqueue(BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(at + 4)));
                }
            }
            return events.Dequeue();
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_timer_fires_again_and_again(bool blocking)
    {
        using Fixture fixture = new();
        TimeSpan period = TimeSpan.FromMilliseconds(5);
        long start = Stopwatch.GetTimestamp();
        using Fd timer = Fd.Timer(period);
        using PolledFile file = fixture.Polled(timer);
        byte[] buffer = new byte[8];
        long fired = 0;
        while (fired < 5)
        {
            Assert.Equal(8, await file.StartRead(blocking, buffer).Within());
            fired += BinaryPrimitives.ReadInt64LittleEndian(buffer);
        }
        Assert.True(Stopwatch.GetElapsedTime(start) >= period * 5);
    }

    private static async Task<string> ReadTextAsync(PolledFile file)
    {
        byte[] buffer = new byte[256];
        int n = await file.ReadAsync(buffer).Within();
        return Encoding.UTF8.GetString(buffer, 0, n);
    }
}
