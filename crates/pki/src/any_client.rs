//! A client that shows a certificate and proves to hold its key: whom to believe is not asked in the handshake.

use std::sync::LazyLock;

use rustls::{
    DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// The signatures by which clients prove their keys and authorities their certificates: those of ring, and P-521's.
static ALL: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
    let known = default_provider().signature_verification_algorithms;
    known.all.iter().copied().chain(P521).collect()
});
static MAPPING: LazyLock<Vec<(SignatureScheme, &'static [Algorithm])>> = LazyLock::new(|| {
    let known = default_provider().signature_verification_algorithms;
    known.mapping.iter().copied().chain([(SignatureScheme::ECDSA_NISTP521_SHA512, &P521[..1])]).collect()
});
/// The hash of handshakes first.
static P521: [Algorithm; 3] = [ecdsa_p521::SHA512, ecdsa_p521::SHA384, ecdsa_p521::SHA256];

/// The signatures of clients' certificates and of their handshakes.
pub fn client_signatures() -> WebPkiSupportedAlgorithms {
    WebPkiSupportedAlgorithms { all: &ALL, mapping: &MAPPING }
}

/// Asks clients for a certificate and checks that they hold its key. Whom to believe is asked later, so that a
/// certificate of somebody unknown gets an answer and not a broken handshake, and so that authorities of users and of
/// front proxies are told apart. Clients may also come without a certificate.
#[derive(Debug)]
pub struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
    authorities: Vec<DistinguishedName>,
}

impl AnyClient {
    /// Tells clients of no authority: they show whatever certificate they have.
    pub fn new() -> Self {
        Self::of([])
    }

    /// Tells clients the names of these authorities, so that they choose the right certificate.
    pub fn of(authorities: impl IntoIterator<Item = DistinguishedName>) -> Self {
        let algorithms = client_signatures();
        Self { algorithms, authorities: authorities.into_iter().collect() }
    }
}

impl Default for AnyClient {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use rustls::client::ResolvesClientCert;
    use rustls::sign::{CertifiedKey, Signer, SigningKey};
    use rustls::{
        ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
        SignatureAlgorithm, SupportedProtocolVersion, version,
    };
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{PrivateKeyDer, ServerName};

    use super::*;

    const SCALAR: &str =
        "AfpU248uZdWRzJ59Jc2WmtLFdr1kB+HtZ98VpGuWb+aUZUvXgYBo3c/ulxyHjGf2+7fAlR8o7JUv4alg+QG1vNVh";

    /// Signs handshakes as a client with a key on P-521.
    #[derive(Debug, Clone)]
    struct P521Client;

    impl SigningKey for P521Client {
        fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ECDSA
        }
    }

    impl Signer for P521Client {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
            let key = ecdsa_p521::SecretKey::from_scalar(&BASE64_STANDARD.decode(SCALAR).unwrap()).unwrap();
            let signature = key.sign(message).unwrap();
            let integers: Vec<u8> = signature.chunks(ecdsa_p521::SIZE).flat_map(integer).collect();
            // Two numbers of at most 66 bytes: the length takes two bytes at least, and one of them says so.
            Ok([&[0x30, 0x81, u8::try_from(integers.len()).unwrap()], integers.as_slice()].concat())
        }

        fn scheme(&self) -> SignatureScheme {
            SignatureScheme::ECDSA_NISTP521_SHA512
        }
    }

    fn integer(number: &[u8]) -> Vec<u8> {
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        let sign: &[u8] = if number[0] < 0x80 { &[] } else { &[0] };
        let length = u8::try_from(number.len() + sign.len()).unwrap();
        [&[2, length], sign, number].concat()
    }

    impl ResolvesClientCert for P521Client {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            let certificate = CertificateDer::from_pem_slice(include_bytes!("testdata/p521.pem")).unwrap();
            Some(Arc::new(CertifiedKey::new(vec![certificate], Arc::new(self.clone()))))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    /// Shakes hands in memory, and gives what the server saw of the client.
    fn seen(version: &'static SupportedProtocolVersion) -> Option<Vec<CertificateDer<'static>>> {
        let own = rcgen::generate_simple_self_signed(["server".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let provider = Arc::new(default_provider());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(P521Client));
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient::new()))
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let name = ServerName::try_from("server").unwrap();
        let mut client = Connection::from(ClientConnection::new(Arc::new(client), name).unwrap());
        let mut server = Connection::from(ServerConnection::new(Arc::new(server)).unwrap());
        while client.is_handshaking() || server.is_handshaking() {
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
        }
        server.peer_certificates().map(|chain| chain.iter().map(|one| one.clone().into_owned()).collect())
    }

    fn carry(from: &mut Connection, to: &mut Connection) {
        let mut bytes = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            match to.read_tls(&mut bytes) {
                Ok(_) => to.process_new_packets().unwrap(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            };
        }
    }

    #[test]
    fn clients_may_prove_keys_on_p521() {
        let shown = CertificateDer::from_pem_slice(include_bytes!("testdata/p521.pem")).unwrap();
        for version in [&version::TLS12, &version::TLS13] {
            assert_eq!(seen(version), Some(vec![shown.clone()]));
        }
    }
}
