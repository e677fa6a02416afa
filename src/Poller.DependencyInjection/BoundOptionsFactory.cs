using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Microsoft.Extensions.Options;

namespace Poller.DependencyInjection;

/// <summary>
/// Creates options that the configuration may set. If an option refuses a value, the configuration's binder throws an exception that names
/// neither; this one throws what the option said.
/// </summary>
internal sealed class BoundOptionsFactory<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] TOptions>(
    IEnumerable<IConfigureOptions<TOptions>> setups,
    IEnumerable<IPostConfigureOptions<TOptions>> postConfigures,
    IEnumerable<IValidateOptions<TOptions>> validations)
    : OptionsFactory<TOptions>(setups, postConfigures, validations), IOptionsFactory<TOptions>
    where TOptions : class
{
    TOptions IOptionsFactory<TOptions>.Create(string name)
    {
        try
        {
            return Create(name);
        }
        catch (TargetInvocationException e) when (e.InnerException is ArgumentException { Message: var failure })
        {
            string options = typeof(TOptions).Name;
            throw new OptionsValidationException(name, typeof(TOptions), [Messages.Options(options, name, failure)]);
        }
    }
}
