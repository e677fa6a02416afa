using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

// Measures what single pieces cost, in time and allocations: dotnet run -c Release --project benchmarks/Poller.Benchmarks -- --filter '*'
// To check in seconds that all of them still run: -- --filter '*' --job Dry --inProcess
// It exits with 0 if something ran and nothing failed. It writes its reports to artifacts/benchmarks.

// Show the minimum beside the mean: on a machine that also does other work, only the minimum can be compared.
IConfig config = DefaultConfig.Instance
    .AddColumn(StatisticColumn.Min)
    .AddDiagnoser(MemoryDiagnoser.Default)
    .WithArtifactsPath(Path.Combine("artifacts", "benchmarks"));
Summary[] summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config)];
return summaries.Length > 0 && Array.TrueForAll(summaries, Succeeded) ? 0 : 1;

static bool Succeeded(Summary summary) =>
    !summary.HasCriticalValidationErrors && !summary.Reports.IsEmpty && summary.Reports.All(static report => report.Success);
