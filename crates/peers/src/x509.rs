//! Client certificates: the chain is checked against an authority, and the subject becomes the user.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::RwLock;
use ring::digest;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::X509Certificate;

use crate::user::{self, UserInfo};

/// The subject attribute that carries a user's UID, from the project's own arc.
const UID_ATTRIBUTE: &str = "1.3.6.1.4.1.57683.2";

/// Why a certificate does not tell a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No authority in the bundle.
    #[error("no certificate authority could be read: {0}")]
    NoAuthority(String),
    /// It is not a certificate.
    #[error("the certificate cannot be parsed")]
    Malformed,
    /// Its chain does not lead to the authority, it is out of date, or it is not for clients.
    #[error("verifying certificate {certificate} failed: {why}")]
    Untrusted {
        /// Its serial number and the identifiers of its key and of its authority's.
        certificate: String,
        /// Why, as Go says it.
        why: String,
    },
    /// The subject has no common name.
    #[error("the certificate has no common name")]
    NoName,
    /// The subject has a UID attribute more than once, or an empty one.
    #[error("unable to parse user UID from subject")]
    Uid,
}

/// The certificate authorities whose client certificates are accepted.
///
/// Copies are of one authority: what one of them is told to accept from now on, all accept.
#[derive(Clone)]
pub struct ClientAuthority {
    verifier: Arc<RwLock<Arc<dyn ClientCertVerifier>>>,
}

impl fmt::Debug for ClientAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAuthority of {} certificates", self.subjects().len())
    }
}

impl ClientAuthority {
    /// Reads a PEM bundle, the content of `--client-ca-file` or `--requestheader-client-ca-file`.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self { verifier: Arc::new(RwLock::new(verifier(pem)?)) })
    }

    /// Accepts certificates of another bundle's authorities from now on; one that is wrong changes nothing.
    pub fn replace(&self, pem: &[u8]) -> Result<(), CertificateError> {
        let verifier = verifier(pem)?;
        *self.verifier.write() = verifier;
        Ok(())
    }

    /// Subjects to tell clients in the TLS handshake, so that they choose the right certificate.
    pub fn subjects(&self) -> Vec<rustls::DistinguishedName> {
        self.verifier.read().root_hint_subjects().to_vec()
    }

    /// Checks a chain, the client's certificate first.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), CertificateError> {
        let (certificate, intermediates) = chain.split_first().ok_or(CertificateError::Malformed)?;
        let now =
            UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)));
        let verifier = self.verifier.read().clone();
        match verifier.verify_client_cert(certificate, intermediates, now) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(fault)) => {
                Err(CertificateError::untrusted(certificate, pki::refusal(&fault)))
            }
            Err(error) => Err(CertificateError::untrusted(certificate, error.to_string())),
        }
    }
}

impl CertificateError {
    pub(crate) fn untrusted(certificate: &CertificateDer<'_>, why: impl Into<String>) -> Self {
        Self::Untrusted { certificate: identifier(certificate), why: why.into() }
    }
}

/// What a certificate is called in logs, as upstream.
pub(crate) fn identifier(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return "of no form".to_owned();
    };
    let (mut own, mut authority) = (String::new(), String::new());
    for extension in parsed.iter_extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own = hexadecimal(id.0),
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                authority = found.key_identifier.as_ref().map_or_else(String::new, |id| hexadecimal(id.0));
            }
            _ => {}
        }
    }
    format!("SN={}, SKID={own}, AKID={authority}", parsed.tbs_certificate.serial)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let unreadable = |error: &dyn fmt::Display| CertificateError::NoAuthority(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    let mut provider = rustls::crypto::ring::default_provider();
    provider.signature_verification_algorithms = pki::client_signatures();
    let provider = Arc::new(provider);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| unreadable(&error))?;
    Ok(verifier)
}

/// What the server reads of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Common name.
    pub name: String,
    /// Organisations.
    pub groups: Vec<String>,
    /// UID attribute, or empty.
    pub uid: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Subject {
    /// Reads a certificate; whether it is to be believed is [`ClientAuthority::verify`]'s to say.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (_, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::Malformed)?;
        Ok(Self {
            name: common_name(&parsed).unwrap_or_default(),
            groups: parsed
                .subject()
                .iter_organization()
                .filter_map(|part| part.as_str().ok())
                .map(str::to_owned)
                .collect(),
            uid: uid(&parsed)?,
            not_after: pki::moment(parsed.validity().not_after.timestamp()),
        })
    }

    /// The user that the certificate stands for.
    pub fn user(self, certificate: &CertificateDer<'_>) -> Result<UserInfo, CertificateError> {
        if self.name.is_empty() {
            return Err(CertificateError::NoName);
        }
        let fingerprint: String = digest::digest(&digest::SHA256, certificate)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let extra =
            BTreeMap::from([(user::CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={fingerprint}")])]);
        Ok(UserInfo { name: self.name, uid: self.uid, groups: self.groups, extra }.authenticated())
    }
}

/// The last common name, as Go's `pkix.Name` has it.
fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.subject().iter_common_name().last()?.as_str().ok().map(str::to_owned)
}

fn uid(certificate: &X509Certificate<'_>) -> Result<String, CertificateError> {
    let mut found = certificate
        .subject()
        .iter_attributes()
        .filter(|attribute| attribute.attr_type().to_id_string() == UID_ATTRIBUTE);
    match (found.next(), found.next()) {
        (None, _) => Ok(String::new()),
        (Some(attribute), None) => match attribute.as_str() {
            Ok(uid) if !uid.is_empty() => Ok(uid.to_owned()),
            _ => Err(CertificateError::Uid),
        },
        (Some(_), Some(_)) => Err(CertificateError::Uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_and_clients_may_have_keys_on_p521() {
        let authority = ClientAuthority::from_pem(include_bytes!("testdata/p521-ca.pem")).unwrap();
        let client = CertificateDer::from_pem_slice(include_bytes!("testdata/p521-client.pem")).unwrap();
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        assert_eq!(authority.verify(std::slice::from_ref(&client), now), Ok(()));
        let user = Subject::read(&client).and_then(|subject| subject.user(&client)).unwrap();
        assert_eq!((user.name.as_str(), user.groups[0].as_str()), ("jane", "readers"));
        let mut broken = client.to_vec();
        // The last byte is of the signature.
        *broken.last_mut().unwrap() ^= 1;
        assert!(authority.verify(&[broken.into()], now).is_err());
    }

    #[test]
    fn what_is_not_believed_is_told_in_upstreams_words() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let own = pki::Authority::new("own", 10, now).unwrap();
        let authority = ClientAuthority::from_pem(own.certificate().as_bytes()).unwrap();
        let other = pki::Authority::new("own", 10, now).unwrap();
        let issued = |by: &pki::Authority, usage| {
            let leaf = pki::Leaf { usage, days: 1, ..pki::Leaf::client("jane", &[]) };
            let issued = by.issue(&leaf, now).unwrap();
            CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
        };
        let (client, server) = (issued(&own, pki::Usage::Client), issued(&own, pki::Usage::Server));
        for (certificate, at, expected) in [
            (&client, "2026-12-01T12:00:00Z", ""),
            (
                &client,
                "2026-12-03T00:00:00Z",
                "x509: certificate has expired or is not yet valid: current time 2026-12-03T00:00:00Z is after 2026-12-02T00:00:00Z",
            ),
            (
                &client,
                "2026-11-01T00:00:00Z",
                "x509: certificate has expired or is not yet valid: current time 2026-11-01T00:00:00Z is before ",
            ),
            (
                &issued(&other, pki::Usage::Client),
                "2026-12-01T12:00:00Z",
                "x509: certificate signed by unknown authority",
            ),
            (&server, "2026-12-01T12:00:00Z", "x509: certificate specifies an incompatible key usage"),
        ] {
            let found = authority.verify(std::slice::from_ref(certificate), at.parse().unwrap());
            let found = found.map_err(|error| error.to_string()).err().unwrap_or_default();
            match expected {
                "" => assert_eq!(found, ""),
                expected => {
                    assert!(found.starts_with("verifying certificate SN="), "{found}");
                    assert!(found.contains(&format!(" failed: {expected}")), "{found}");
                }
            }
        }
        assert_eq!(hexadecimal(&[0x0a, 0xff, 1]), "0A:FF:01");
    }
}
