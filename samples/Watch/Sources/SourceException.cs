namespace Watch.Sources;

/// <summary>A source cannot be opened. The message says why, and what was expected.</summary>
internal sealed class SourceException(string message) : Exception(message);
