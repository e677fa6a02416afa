using Poller.Abstractions;

namespace Poller.Torture;

/// <summary>
/// Opens descriptors of the torture's own. In a shortage it waits, because .NET needs the last ones, which the net layer leaves alone.
/// </summary>
internal sealed class Descriptors
{
    private bool _short;

    /// <summary>Whether the process is short of descriptors on purpose.</summary>
    public bool IsShort { get => Volatile.Read(ref _short); set => Volatile.Write(ref _short, value); }

    /// <summary>Opens something once there is no shortage.</summary>
    public async Task<T> OpenAsync<T>(Func<T> open)
    {
        while (true)
        {
            while (IsShort) await Task.Delay(10);
            try
            {
                return open();
            }
            catch (InvalidOperationException) when (IsShort)
            {
                // The shortage has begun since.
            }
        }
    }

    /// <summary>Runs an action on a thread of its own.</summary>
    public async Task OnOwnThreadAsync(Action action)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        while (true)
        {
            try
            {
                new Thread(() =>
                {
                    try
                    {
                        action();
                        done.SetResult();
                    }
#pragma warning disable CA1031 // Whoever awaits it sees it.
                    catch (Exception e)
#pragma warning restore CA1031
                    {
                        done.SetException(e);
                    }
                }, maxStackSize: 256 * 1024)
                { IsBackground = true }.Start();
                break;
            }
            catch (OutOfMemoryException) when (IsShort)
            {
                await Task.Delay(10); // A thread takes free descriptors for a moment.
            }
        }
        await done.Task;
    }

    /// <summary>Two descriptors of a kind that has one.</summary>
    public static (Fd, Fd) Two(Func<Fd> open)
    {
        Fd one = open();
        try
        {
            return (one, open());
        }
        catch
        {
            one.Dispose();
            throw;
        }
    }

    /// <summary>Throws for a result below zero, which is an errno.</summary>
    public static int Check(int result, string call) =>
        result >= 0 ? result : throw new NetpollException(call, new Errno(-result));
}
