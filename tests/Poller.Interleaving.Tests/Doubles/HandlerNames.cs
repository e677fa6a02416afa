namespace Poller.Net;

/// <summary>No scenario looks at a handler's name.</summary>
internal static class HandlerNames
{
    public static string Describe(in HandlerTrace trace) => "";
}
