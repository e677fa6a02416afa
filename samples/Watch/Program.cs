using Watch;

// Apart from the rest, so that nothing more is loaded before it: each assembly takes descriptors.
if (DescriptorLimit.ComplainIfLow()) return 1;
return await CommandLine.RunAsync(args);
