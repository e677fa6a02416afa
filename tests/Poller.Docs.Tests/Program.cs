using System.Reflection;

namespace Poller.Docs.Tests;

// The process that a program of the docs runs in: dotnet exec Poller.Docs.Tests.dll ASSEMBLY. It brings the docs' references along.

internal static class Program
{
    public static int Main(string[] args)
    {
        MethodInfo main = Assembly.LoadFrom(args[0]).EntryPoint
            ?? throw new InvalidOperationException($"{args[0]}: an assembly with an entry point was expected.");
        object?[] arguments = main.GetParameters().Length == 0 ? [] : [Array.Empty<string>()];
        return main.Invoke(null, BindingFlags.DoNotWrapExceptions, null, arguments, null) as int? ?? 0;
    }
}
