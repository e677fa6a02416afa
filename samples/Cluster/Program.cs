using Cluster;

return await CommandLine.RunAsync(args);
