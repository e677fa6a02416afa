namespace SideBySide;

/// <summary>The repository that the harness was built in.</summary>
internal static class Repository
{
    /// <summary>Null when no folder above the program is it.</summary>
    public static string? Folder { get; } = Find();

    private static string? Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "PollerKit.sln"))) return folder.FullName;
        }
        return null;
    }
}
