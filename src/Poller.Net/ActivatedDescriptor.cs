using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Poller.Net;

/// <summary>A descriptor of <see cref="SocketActivation"/>. You own its handle.</summary>
/// <param name="Name">The name that the manager gave it (FileDescriptorName= of systemd.socket(5)); <c>unknown</c> if it gave none.</param>
/// <param name="Handle">A <see cref="SafeSocketHandle"/> for a socket, and a <see cref="SafeFileHandle"/> for all else.</param>
public sealed record ActivatedDescriptor(string Name, SafeHandle Handle);
