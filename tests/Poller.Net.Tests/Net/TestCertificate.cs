using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Poller.Net.Tests;

/// <summary>The certificate of the tests that speak TLS, signed by itself.</summary>
internal static class TestCertificate
{
    public static X509Certificate2 Value { get; } = Make();

    /// <summary>A client's check: the server shows this certificate.</summary>
    public static bool IsIt(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        certificate!.GetCertHashString() == Value.GetCertHashString();

    private static X509Certificate2 Make()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=poller.test", key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }
}
