namespace Poller.Kqueue.Tests;

/// <summary>The polls of an emulated kernel are slow, so the rounds are fewer.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueueTortureTests() : EdgeTortureTests<KqueueNetpoll>(Emulated.Poller(), rounds: 500);

[Trait("Kernel", "emulated")]
public sealed class KqueueManyDescriptorsTests() : EdgeManyDescriptorsTests<KqueueNetpoll>(Emulated.Poller())
{
    protected override int Capacity => Poller.Capacity;
}

[Trait("Kernel", "emulated")]
public sealed class KqueueRegistrationTests() : EdgeRegistrationTests<KqueueNetpoll>(Emulated.Poller());

[Trait("Kernel", "emulated")]
public sealed class KqueueSignalTests() : SignalTests<KqueueNetpoll>(Emulated.Poller());

/// <summary>The backend over an emulated kernel.</summary>
internal static class Emulated
{
    public static KqueueNetpoll Poller() => new(new EmulatedKernel(KqueuePlatform.MacOS));
}
