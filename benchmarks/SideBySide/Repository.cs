namespace SideBySide;

/// <summary>The repository that the harness was built in.</summary>
internal static class Repository
{
    /// <summary>Its folder; null if it is not a folder above the program.</summary>
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
