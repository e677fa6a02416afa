using System.Collections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Poller.AspNetCore;

// A connection is its own collection of features, as those of ASP.NET Core's transports are. Its own features are its properties. Kestrel
// adds some of its own, and may replace any.
internal sealed partial class PollerConnection :
    IFeatureCollection,
    IConnectionIdFeature,
    IConnectionTransportFeature,
    IConnectionItemsFeature,
    IMemoryPoolFeature,
    IConnectionLifetimeFeature,
    IConnectionEndPointFeature,
    IConnectionSocketFeature
{
    // Null where the connection itself is the feature and nobody has set another. One that was set to null is in the list with null.
    private List<(Type Key, object? Value)>? _features;
    private int _revision;

    public override IFeatureCollection Features => this;

    bool IFeatureCollection.IsReadOnly => false;

    int IFeatureCollection.Revision => _revision;

    object? IFeatureCollection.this[Type key]
    {
        get
        {
            ArgumentNullException.ThrowIfNull(key);
            int index = IndexOf(key);
            return index >= 0 ? _features![index].Value : IsOwn(key) ? this : null;
        }

        set
        {
            ArgumentNullException.ThrowIfNull(key);
            _revision++;
            int index = IndexOf(key);
            if (index >= 0) _features![index] = (key, value);
            else (_features ??= new(4)).Add((key, value));
        }
    }

    TFeature? IFeatureCollection.Get<TFeature>() where TFeature : default => (TFeature?)((IFeatureCollection)this)[typeof(TFeature)];

    void IFeatureCollection.Set<TFeature>(TFeature? instance) where TFeature : default =>
        ((IFeatureCollection)this)[typeof(TFeature)] = instance;

    IEnumerator<KeyValuePair<Type, object>> IEnumerable<KeyValuePair<Type, object>>.GetEnumerator()
    {
        foreach (Type own in OwnFeatures)
        {
            if (IndexOf(own) < 0) yield return new(own, this);
        }
        foreach ((Type key, object? value) in _features ?? [])
        {
            if (value is not null) yield return new(key, value);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => ((IEnumerable<KeyValuePair<Type, object>>)this).GetEnumerator();

    private static readonly Type[] OwnFeatures =
    [
        typeof(IConnectionIdFeature),
        typeof(IConnectionTransportFeature),
        typeof(IConnectionItemsFeature),
        typeof(IMemoryPoolFeature),
        typeof(IConnectionLifetimeFeature),
        typeof(IConnectionEndPointFeature),
        typeof(IConnectionSocketFeature),
    ];

    private static bool IsOwn(Type key) => Array.IndexOf(OwnFeatures, key) >= 0;

    private int IndexOf(Type key)
    {
        if (_features is not { } features) return -1;
        for (int i = 0; i < features.Count; i++)
        {
            if (features[i].Key == key) return i;
        }
        return -1;
    }
}
