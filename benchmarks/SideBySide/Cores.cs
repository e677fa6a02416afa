namespace SideBySide;

/// <summary>
/// The processors of the server and of the generator: each has one if there are at least two. It is created before anything is pinned.
/// </summary>
internal sealed class Cores
{
    // Constant.
    private readonly byte[] _all = LibC.GetAffinity();
    private readonly byte[] _server;
    private readonly byte[] _generator;

    public Cores()
    {
        List<int> allowed = [.. Enumerable.Range(0, _all.Length * 8).Where(core => (_all[core / 8] & (1 << (core % 8))) != 0)];
        Apart = allowed.Count > 1;
        _server = Apart ? Only(allowed[0]) : _all;
        _generator = Apart ? Only(allowed[1]) : _all;
    }

    /// <summary>Whether server and generator have one processor each.</summary>
    public bool Apart { get; }

    /// <summary>
    /// Runs the calling thread, and everything it starts, on the server's processor, or on all of them, until it is disposed.
    /// </summary>
    public Pin Server(bool all) => new(all ? _all : _server, _all);

    /// <inheritdoc cref="Server"/>
    public Pin Generator(bool all) => new(all ? _all : _generator, _all);

    private byte[] Only(int core)
    {
        byte[] mask = new byte[_all.Length];
        mask[core / 8] = (byte)(1 << (core % 8));
        return mask;
    }

    public readonly ref struct Pin
    {
        private readonly byte[] _back;

        public Pin(byte[] mask, byte[] back)
        {
            LibC.SetAffinity(mask);
            _back = back;
        }

        public void Dispose() => LibC.SetAffinity(_back);
    }
}
