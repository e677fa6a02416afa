using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

// What single pieces cost, in time and in allocations: dotnet run -c Release --project benchmarks/Poller.Benchmarks -- --filter '*'
// Whether all of them still run takes seconds: -- --filter '*' --job Dry --inProcess
// Exits with 0 when something was run and nothing failed. The reports are written to artifacts/benchmarks.

// The least beside the mean: on a machine that does other things too, it is what can be compared.
IConfig config = DefaultConfig.Instance
    .AddColumn(StatisticColumn.Min)
    .AddDiagnoser(MemoryDiagnoser.Default)
    .WithArtifactsPath(Path.Combine("artifacts", "benchmarks"));
Summary[] summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config)];
return summaries.Length > 0 && Array.TrueForAll(summaries, Succeeded) ? 0 : 1;

static bool Succeeded(Summary summary) =>
    !summary.HasCriticalValidationErrors && !summary.Reports.IsEmpty && summary.Reports.All(static report => report.Success);
