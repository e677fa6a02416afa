using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

internal abstract unsafe partial class UnixSocketApi
{
    // Linux's struct ucred.
    private struct UserCredentials
    {
        public int ProcessId;
        public uint UserId;
        public uint GroupId;
    }

    // A socket that was never connected to another has no peer: Linux gives the user -1, and the others give ENOTCONN.
    public IoResult PeerCredentials(nint fd, out PeerCredentials credentials)
    {
        credentials = default;
        IoResult result;
        uint user, group;
        int? process = null;
        if (os.SO_PEERCRED != 0)
        {
            UserCredentials peer;
            uint length = (uint)sizeof(UserCredentials);
            result = Result(getsockopt((int)fd, os.SOL_SOCKET, os.SO_PEERCRED, &peer, &length));
            (process, user, group) = (peer.ProcessId, peer.UserId, peer.GroupId);
        }
        else
        {
            result = Result(getpeereid((int)fd, &user, &group));
        }
        if (!result.IsSuccess) return result;
        if (user == uint.MaxValue) return Errno.ENOTCONN;
        credentials = new PeerCredentials(process, user, group);
        return 0;
    }

    public IoResult TcpInfo(nint fd, Span<byte> info) =>
        os.TCP_INFO == 0 ? Errno.ENOPROTOOPT : GetRawOption(fd, os.IPPROTO_TCP, os.TCP_INFO, info);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int getpeereid(int fd, uint* user, uint* group);
}
