namespace Poller.Net.Tests;

/// <summary>That no class of tests is forgotten in one of the lists of the folder Over.</summary>
public sealed class BackendsTests
{
    [Theory]
    [InlineData(typeof(EpollBackend))]
    [InlineData(typeof(EpollLevelBackend))]
    [InlineData(typeof(PosixBackend))]
    [InlineData(typeof(KqueueBackend))]
    public void Every_class_of_tests_runs_over_every_backend(Type backend)
    {
        Type[] types = typeof(BackendsTests).Assembly.GetTypes();
        Type[] generic =
        [
            .. types.Where(static type => type.IsGenericTypeDefinition && type.Name.EndsWith("Tests`1", StringComparison.Ordinal)),
        ];
        Type[] made = [.. types.Where(static type => !type.IsAbstract).Select(static type => type.BaseType!)];
        Assert.Contains(typeof(AllocationTests<>), generic);
        Assert.All(
            generic.Where(static type => type != typeof(ConformanceTests<>) && type != typeof(FileConformanceTests<>)),
            type => Assert.Contains(type.MakeGenericType(backend), made));
    }
}
