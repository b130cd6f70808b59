//! The other end of a TLS connection, looked at once and remembered for every request that comes over it.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::request_header::RequestHeader;
use crate::user::UserInfo;
use crate::x509::{CertificateError, ClientAuthority, Subject};

/// What a connection's client certificate proves.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    certificate: Option<Arc<Presented>>,
}

#[derive(Debug)]
struct Presented {
    user: Result<Arc<UserInfo>, CertificateError>,
    front_proxy: bool,
    not_after: Timestamp,
}

impl Peer {
    /// A connection without a client certificate.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Looks at the chain that the client showed in the handshake, its own certificate first.
    pub fn new(
        chain: &[CertificateDer<'_>],
        clients: Option<&ClientAuthority>,
        proxies: Option<&RequestHeader>,
        now: Timestamp,
    ) -> Self {
        let Some(certificate) = chain.first() else { return Self::unknown() };
        let subject = Subject::read(certificate);
        let not_after = subject.as_ref().map_or(Timestamp::UNIX_EPOCH, |subject| subject.not_after);
        let front_proxy = proxies.is_some_and(|proxies| {
            subject.as_ref().is_ok_and(|subject| proxies.allows(&subject.name))
                && proxies.authority.verify(chain, now).is_ok()
        });
        let user = match clients {
            Some(clients) => {
                clients.verify(chain, now).and(subject).and_then(|subject| subject.user(certificate))
            }
            None => Err(CertificateError::Untrusted("no client authority is configured".into())),
        };
        let presented = Presented { user: user.map(Arc::new), front_proxy, not_after };
        Self { certificate: Some(Arc::new(presented)) }
    }

    /// The certificate's user; `None` without a certificate. A certificate that ended meanwhile is refused.
    pub(crate) fn user(&self, now: Timestamp) -> Option<Result<&Arc<UserInfo>, CertificateError>> {
        let presented = self.certificate.as_deref()?;
        Some(match &presented.user {
            Ok(_) if now > presented.not_after => {
                Err(CertificateError::Untrusted("certificate has expired".into()))
            }
            Ok(user) => Ok(user),
            Err(error) => Err(error.clone()),
        })
    }

    /// Whether the other end is a front proxy whose headers are believed.
    pub(crate) fn is_front_proxy(&self, now: Timestamp) -> bool {
        self.certificate
            .as_deref()
            .is_some_and(|presented| presented.front_proxy && now <= presented.not_after)
    }
}

/// Asks clients for a certificate and checks that they own its key, but leaves whom to believe to
/// [`Peer::new`]: a certificate that is not accepted gets a 401 with a `Status`, not a broken handshake, and
/// certificates of two authorities (clients, front proxies) are told apart.
#[derive(Debug)]
pub struct DeferredVerifier {
    provider: Arc<CryptoProvider>,
    subjects: Vec<DistinguishedName>,
}

impl DeferredVerifier {
    /// A verifier that tells clients the names of these authorities.
    pub fn new<'a>(authorities: impl IntoIterator<Item = &'a ClientAuthority>) -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            subjects: authorities.into_iter().flat_map(ClientAuthority::subjects).collect(),
        }
    }
}

impl ClientCertVerifier for DeferredVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
