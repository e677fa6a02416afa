namespace Poller.Net;

/// <summary>The numbers of the options, and of the control data, by which UDP splits and joins datagrams.</summary>
internal readonly record struct UdpOffload(int Level, int Segment, int Gro);
