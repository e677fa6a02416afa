using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Poller.Net;

// The name of a handler, from the types that the compiler makes of async methods, lambdas and local functions. It needs the types' names
// alone, which trimming and NativeAOT keep for the types of live objects.

/// <summary>Names handlers. Safe from any thread.</summary>
internal static class HandlerNames
{
    // What a type of box says: the method whose state machine it holds, and whether that method is the user's. Null for another type.
    private sealed record Method(string Name, bool IsUsers);

    private static readonly ConcurrentDictionary<Type, Method?> Methods = new();

    /// <summary>
    /// The first method of the user's among those that go on, such as <c>MyApp.Server.HandleAsync</c>. If they are all of libraries, says
    /// what the user's awaits.
    /// </summary>
    public static string Of(in HandlerTrace trace)
    {
        string? first = null;
        foreach (object? awaiter in trace.Chain)
        {
            object? box = awaiter is Action { Target: { } target } ? target : awaiter;
            if (box is null || Methods.GetOrAdd(box.GetType(), MethodOf) is not { } method) continue;
            if (method.IsUsers) return method.Name;
            first ??= $"that awaits {method.Name}";
        }
        return first
            ?? (trace.Chain[0] is Delegate callback ? NameOf(callback) : null)
            ?? (trace.Continuation is { } continuation ? NameOf(continuation) : null)
            ?? "of unknown name";
    }

    /// <summary>A handler and its connection, for a report.</summary>
    public static string Describe(in HandlerTrace trace) =>
        trace.Fd is null ? "one handler" : $"handler {Of(trace)} on {trace.Fd.Description}";

    /// <summary>The user's name for a method by its compiled name, which may be that of a lambda or a local function.</summary>
    public static string Readable(string name)
    {
        if (name.Length == 0 || name[0] != '<') return WithoutArity(name);
        int depth = 0;
        int end = 0;
        for (int i = 0; i < name.Length && end == 0; i++)
        {
            if (name[i] == '<') depth++;
            else if (name[i] == '>' && --depth == 0) end = i;
        }
        if (end <= 1) return WithoutArity(name);
        string outer = Readable(name[1..end]);
        string rest = name[(end + 1)..];
        if (rest.StartsWith("b__", StringComparison.Ordinal)) return $"{outer}.lambda";
        if (!rest.StartsWith("g__", StringComparison.Ordinal)) return outer;
        return $"{outer}.{rest[3..].Split('|')[0]}";
    }

    private static Method? MethodOf(Type box)
    {
        Type? machine = box.GenericTypeArguments.LastOrDefault();
        if (machine is null || !typeof(IAsyncStateMachine).IsAssignableFrom(machine)) return null;
        string method = Readable(machine.Name);
        for (Type? type = machine.DeclaringType; type is not null; type = type.DeclaringType)
        {
            if (!type.Name.StartsWith('<')) method = $"{WithoutArity(type.Name)}.{method}";
        }
        string? library = machine.Assembly.GetName().Name;
        bool isUsers = library is not ("Poller.Net" or "Poller.AspNetCore" or "Poller.DependencyInjection")
            && library?.StartsWith("System.", StringComparison.Ordinal) != true
            && library?.StartsWith("Microsoft.", StringComparison.Ordinal) != true;
        return new Method(machine.Namespace is { Length: > 0 } space ? $"{space}.{method}" : method, isUsers);
    }

    private static string? NameOf(Delegate callback)
    {
        if (DiagnosticMethodInfo.Create(callback) is not { } method) return callback.Target?.GetType().FullName;
        IEnumerable<string> types = method.DeclaringTypeName.Split('+').Where(static type => !type.StartsWith('<')).Select(WithoutArity);
        return $"{string.Join('.', types)}.{Readable(method.Name)}";
    }

    private static string WithoutArity(string name) => name.Split('`')[0];
}
