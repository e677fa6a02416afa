namespace Poller.AspNetCore;

// Ids like those of ASP.NET Core's transports: 13 digits of 5 bits each, which sort in the order of their making.
internal static class ConnectionIds
{
    private const string Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

    // Atomic. It begins with the time, so that the ids of a program which starts again differ.
    private static long _last = DateTime.UtcNow.Ticks;

    public static string Next() => string.Create(13, Interlocked.Increment(ref _last), static (text, id) =>
    {
        for (int i = text.Length - 1; i >= 0; i--, id >>>= 5) text[i] = Digits[(int)(id & 31)];
    });
}
