using Microsoft.Extensions.Options;

namespace Poller.DependencyInjection;

/// <summary>
/// Says what cannot be, before anything is made: a value out of its range, a backend that is not known or does not work here.
/// </summary>
internal sealed class PollerOptionsValidator : IValidateOptions<PollerOptions>
{
    public ValidateOptionsResult Validate(string? name, PollerOptions options)
    {
        List<string> failures = [];
        if (BackendChoice.WhyNot(options, NameOf(nameof(options.Backend), options.Backend)) is { } failure) failures.Add(failure);
        failures.AddRange(options.Failures);
        if (!Enum.IsDefined(options.Dispatch))
        {
            failures.Add(Messages.Dispatch(NameOf(nameof(options.Dispatch), options.Dispatch), options.Dispatch));
        }
        if (options.Loops is < 1 or > Messages.MaxLoops)
        {
            failures.Add(Messages.Loops(NameOf(nameof(options.Loops), options.Loops), options.Loops));
        }
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        string NameOf(string option, object? value) => options.NameOf(option, value, name ?? Options.DefaultName);
    }
}
