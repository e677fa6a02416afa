using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>What a descriptor is, and whether it is ready. The tables of other systems, against their headers.</summary>
public sealed class UnixFileApiTests
{
    [Fact]
    public void A_descriptor_is_told_by_its_kind()
    {
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (Fd socket = Fd.TcpSocket())
        using (Fd device = Fd.Open("/dev/null", Fd.ReadOnly))
        using (Fd directory = Fd.Open("/proc", Fd.ReadOnly))
        using (Fd file = Fd.Open("/proc/self/stat", Fd.ReadOnly))
        using (Fd counter = Fd.EventFd())
        {
            Assert.Equal(FileKind.Pipe, KindOf(read));
            Assert.Equal(FileKind.Socket, KindOf(socket));
            Assert.Equal(FileKind.CharacterDevice, KindOf(device));
            Assert.Equal(FileKind.Directory, KindOf(directory));
            Assert.Equal(FileKind.RegularFile, KindOf(file));
            Assert.Equal(FileKind.Unknown, KindOf(counter));
            Assert.Equal("eventfd", UnixFileApi.AnonymousName(counter));
            Assert.Null(UnixFileApi.AnonymousName(read));
        }
        Assert.Equal(Errno.EBADF, UnixFileApi.KindOf(-1, out _));

        static FileKind KindOf(Fd fd)
        {
            Assert.Equal(Errno.None, UnixFileApi.KindOf(fd, out FileKind kind));
            return kind;
        }
    }

    [Fact]
    public void A_look_tells_ready_from_not_ready_and_from_no_descriptor()
    {
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        {
            Assert.Equal(Errno.EAGAIN, UnixFileApi.Look(read, Direction.Read));
            Assert.Equal(0, UnixFileApi.Look(write, Direction.Write));
            write.Fill();
            Assert.Equal(0, UnixFileApi.Look(read, Direction.Read));
            Assert.Equal(Errno.EAGAIN, UnixFileApi.Look(write, Direction.Write));
            read.Dispose();

            // In error, once no child process of another test holds a copy until its exec.
            SpinWait.SpinUntil(() => UnixFileApi.Look(write, Direction.Write) != Errno.EAGAIN, Fixture.Patience);
            Assert.Equal(0, UnixFileApi.Look(write, Direction.Write));
        }
        Assert.Equal(Errno.EBADF, UnixFileApi.Look(int.MaxValue, Direction.Read));
    }

    [Theory]
    [InlineData(nameof(FileNumbers.MacOS), StatSymbol.Fstat, 4, 2)]
    [InlineData(nameof(FileNumbers.FreeBSD), StatSymbol.Fstat, 24, 2)]
    [InlineData(nameof(FileNumbers.NetBSD), StatSymbol.Fstat50, 8, 4)]
    [InlineData(nameof(FileNumbers.OpenBSD), StatSymbol.Fstat, 0, 4)]
    public void The_numbers_are_the_systems(string name, object symbol, int offset, int size)
    {
        FileNumbers os = (FileNumbers)typeof(FileNumbers).GetField(name)!.GetValue(null)!;
        Assert.Equal((symbol, offset, size), ((object)os.StatSymbol, os.ModeOffset, os.ModeSize));
        Assert.Equal((4, 512, 0), (os.O_NONBLOCK, os.PIPE_BUF, os.POLLRDHUP));
    }

    [Theory]
    [InlineData(Architecture.X64, 332)]
    [InlineData(Architecture.Arm64, 291)]
    [InlineData(Architecture.RiscV64, 291)]
    [InlineData(Architecture.Arm, 397)]
    [InlineData(Architecture.X86, 383)]
    [InlineData(Architecture.S390x, 379)]
    [InlineData(Architecture.Ppc64le, 383)]
    public void The_number_of_statx_is_the_architectures(Architecture architecture, int number) =>
        Assert.Equal(number, FileNumbers.SYS_statx(architecture));
}
