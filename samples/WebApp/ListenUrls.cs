using System.Globalization;
using System.Net.Sockets;

namespace WebApp;

/// <summary>
/// Finds what is wrong with the URLs before Kestrel does, which takes much for a name of a host, and then listens on every address.
/// </summary>
internal static class ListenUrls
{
    /// <exception cref="FormatException">Kestrel cannot listen there.</exception>
    public static void Check(string? urls)
    {
        if (string.IsNullOrEmpty(urls)) return; // It listens on http://localhost:5000.
        string[] each = urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (each.Length == 0) Throw("it has no URL");
        foreach (string url in each)
        {
            if (Fault(url) is { } fault) Throw(fault);
        }

        void Throw(string fault) =>
            throw new FormatException($"--urls \"{urls}\": {fault}; http://HOST:PORT or https://HOST:PORT was expected.");
    }

    private static string? Fault(string url)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(url);
        }
        catch (FormatException)
        {
            return $"\"{url}\" is no URL";
        }
        if (address.Scheme is not ("http" or "https")) return $"unknown scheme \"{address.Scheme}\"";
        if (address.IsUnixPipe) return PathFault(address.UnixPipePath);
        if (address.PathBase.Length > 0) return $"\"{url}\" has a path";
        if (address.Host is not ("*" or "+") && Uri.CheckHostName(address.Host) == UriHostNameType.Unknown)
        {
            return $"\"{address.Host}\" is no host with a port";
        }
        if (address.Port is < 0 or > ushort.MaxValue) return string.Create(CultureInfo.InvariantCulture, $"no port {address.Port}");
        bool isTwo = address.Port == 0 && address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase);
        return isTwo ? "localhost has two addresses, for which the system cannot choose one port" : null;
    }

    private static string? PathFault(string path)
    {
        try
        {
            _ = new UnixDomainSocketEndPoint(path);
            return null;
        }
        catch (ArgumentException)
        {
            return $"\"{path}\" is no path of a Unix socket, which has 1 to 107 bytes on Linux";
        }
    }
}
