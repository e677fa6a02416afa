using Microsoft.Extensions.Options;

namespace Poller.DependencyInjection;

/// <summary>
/// Finds invalid options before anything is made: a value out of its range, a backend that is unknown or does not work here.
/// </summary>
internal sealed class PollerOptionsValidator : IValidateOptions<PollerOptions>
{
    public ValidateOptionsResult Validate(string? name, PollerOptions options)
    {
        List<string> failures = [];
        if (options.Registration is not { IsOverruled: true } && new BackendChoice(options.Backend, options.Factories).WhyNot is { } whyNot)
        {
            failures.Add(Messages.Backend(options.NameOf(nameof(options.Backend), options.Backend), options.Backend, whyNot));
        }
        failures.AddRange(options.Failures);
        if (!Enum.IsDefined(options.Dispatch))
        {
            failures.Add(Messages.Dispatch(options.NameOf(nameof(options.Dispatch), options.Dispatch), options.Dispatch));
        }
        if (options.Loops is < 1 or > Messages.MaxLoops)
        {
            failures.Add(Messages.Loops(options.NameOf(nameof(options.Loops), options.Loops), options.Loops));
        }
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
