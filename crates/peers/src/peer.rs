//! The other end of a TLS connection, looked at once and remembered for every request that comes over it.

use std::sync::Arc;

use http::HeaderMap;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::request_header::RequestHeader;
use crate::user::UserInfo;
use crate::x509::{self, CertificateError, ClientAuthority, Subject};

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
    /// What it is called when it is refused.
    identifier: String,
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
            None => Err(CertificateError::untrusted(certificate, "no client authority is configured")),
        };
        let identifier = x509::identifier(certificate);
        let presented = Presented { user: user.map(Arc::new), front_proxy, not_after, identifier };
        Self { certificate: Some(Arc::new(presented)) }
    }

    /// The user of a request over this connection: whom a front proxy names in the headers, or else the certificate's;
    /// `None` without a certificate. A certificate that ended meanwhile is refused.
    pub fn user(
        &self,
        proxies: Option<&RequestHeader>,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<Result<Arc<UserInfo>, CertificateError>> {
        let presented = self.certificate.as_deref()?;
        let ended = now > presented.not_after;
        if presented.front_proxy
            && !ended
            && let Some(user) = proxies.and_then(|proxies| proxies.user(headers))
        {
            return Some(Ok(Arc::new(user)));
        }
        Some(match &presented.user {
            Ok(_) if ended => Err(CertificateError::Untrusted {
                certificate: presented.identifier.clone(),
                why: pki::has_ended(now, presented.not_after),
            }),
            user => user.clone(),
        })
    }
}
