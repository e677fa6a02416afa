namespace Poller.Interleaving.Tests;

/// <summary>Checks what a scenario says must hold.</summary>
public static class Invariant
{
    public static void Holds(bool condition, string otherwise)
    {
        if (!condition) throw new InvariantException(otherwise);
    }
}

/// <summary>An invariant of a scenario was broken.</summary>
public sealed class InvariantException(string message) : Exception(message);
