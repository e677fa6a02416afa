using Microsoft.Extensions.Options;

namespace Poller.DependencyInjection;

/// <summary>
/// Finds invalid options before the services create anything: a value out of range, or a backend that is unknown or does not work here.
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
        Count(nameof(options.Loops), options.Loops, Messages.MaxLoops);
        Count(nameof(options.MaxBlockedHandlers), options.MaxBlockedHandlers, Messages.MaxMaxBlockedHandlers);
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void Count(string option, int value, int most)
        {
            if (value < 1 || value > most) failures.Add(Messages.Count(options.NameOf(option, value), value, most));
        }
    }
}
