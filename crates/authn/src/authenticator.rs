//! Asks every way of authentication in upstream's order: front proxy, client certificate, bearer token, nobody.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use jiff::Timestamp;
use peers::{ClientAuthority, Peer, RequestHeader, UserInfo, bearer_token};
use pki::AnyClient;
use rustls_pki_types::CertificateDer;

use crate::anonymous::Anonymous;
use crate::bootstrap_token::BootstrapToken;
use crate::lookup::Lookup;
use crate::outside::Outside;
use crate::service_account::{TokenIdentity, TokenVerifier};
use crate::token_file::TokenFile;

/// What a request brings along to say who it is from.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The connection.
    pub peer: &'a Peer,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The request's path: some are open to anyone.
    pub path: &'a str,
}

/// Credentials that are not accepted, or none where some are needed. The reasons are for the log: the client
/// is told `Unauthorized` and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unauthenticated {
    /// What each way of authentication said.
    pub reasons: Vec<String>,
}

impl fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reasons.as_slice() {
            [] => f.write_str("no credentials"),
            [one] => f.write_str(one),
            many => write!(f, "[{}]", many.join(", ")),
        }
    }
}

impl std::error::Error for Unauthenticated {}

/// Every way of authentication that is turned on.
#[derive(Default)]
pub struct Authenticator {
    /// `--client-ca-file`.
    pub clients: Option<ClientAuthority>,
    /// `--requestheader-*`.
    pub proxies: Option<RequestHeader>,
    /// `--service-account-key-file` and `--service-account-issuer`.
    pub tokens: Option<TokenVerifier>,
    /// `--token-auth-file`
    pub token_file: Option<TokenFile>,
    /// Those who are asked about tokens that nobody here knows, in order: other issuers, a webhook.
    pub outside: Vec<Arc<dyn Outside>>,
    /// `--enable-bootstrap-token-auth`: where the secrets are.
    pub bootstrap: Option<Arc<dyn Lookup>>,
    /// `--anonymous-auth`.
    pub anonymous: Anonymous,
    /// `--api-audiences`: whom tokens must be for to be used on this server.
    pub api_audiences: Vec<String>,
}

impl Authenticator {
    /// The verifier for the server's TLS configuration.
    pub fn tls_verifier(&self) -> AnyClient {
        let authorities = self.clients.iter().chain(self.proxies.as_ref().map(|proxies| &proxies.authority));
        AnyClient::of(authorities.flat_map(ClientAuthority::subjects))
    }

    /// Looks at a new connection's certificate chain; once for each connection.
    pub fn peer(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Peer {
        Peer::new(chain, self.clients.as_ref(), self.proxies.as_ref(), now)
    }

    /// Says who a request is from. A credential that is wrong is an error even where no credential is needed.
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        now: Timestamp,
    ) -> Result<Arc<UserInfo>, Unauthenticated> {
        let Credentials { peer, headers, path } = credentials;
        let mut reasons = Vec::new();
        match peer.user(self.proxies.as_ref(), headers, now) {
            Some(Ok(user)) => return Ok(user),
            Some(Err(error)) => reasons.push(error.to_string()),
            None => {}
        }
        if let Some(token) = bearer_token(headers) {
            match self.authenticate_token(&token, &self.api_audiences, now).await {
                Ok(identity) => return Ok(identity.user),
                Err(error) => reasons.extend(error.reasons),
            }
        }
        if reasons.is_empty() && self.anonymous.allows(path) {
            return Ok(Arc::new(UserInfo::anonymous()));
        }
        Err(Unauthenticated { reasons })
    }

    /// Says whom a bearer token speaks for, shown to `audiences` (none: whatever the token is for).
    pub async fn authenticate_token(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<TokenIdentity, Unauthenticated> {
        let mut reasons = vec!["invalid bearer token".to_owned()];
        // What says nothing of audiences is for this server alone, whatever else is asked about.
        let here: Vec<String> =
            audiences.iter().filter(|audience| self.api_audiences.contains(audience)).cloned().collect();
        let is_here = !here.is_empty() || audiences.is_empty();
        if is_here && let Some(user) = self.token_file.as_ref().and_then(|file| file.user(token)) {
            return Ok(TokenIdentity { user, audiences: here });
        }
        if let Some(tokens) = &self.tokens {
            match tokens.verify(token, audiences, now) {
                Ok(Some(identity)) => return Ok(identity),
                Ok(None) => {}
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if is_here
            && let Some(lookup) = &self.bootstrap
            && let Some(token) = BootstrapToken::parse(token)
            && let Some(user) = token.authenticate(lookup.as_ref(), now)
        {
            return Ok(TokenIdentity { user: Arc::new(user.authenticated()), audiences: here });
        }
        for outside in &self.outside {
            match outside.identify(token, audiences, now).await {
                Ok(Some(found)) => {
                    // Who answers without naming audiences speaks of this server.
                    let audiences = match found.audiences {
                        Some(audiences) => audiences,
                        None if is_here => here.clone(),
                        None => continue,
                    };
                    return Ok(TokenIdentity { user: found.user, audiences });
                }
                Ok(None) => {}
                Err(why) => reasons.push(why),
            }
        }
        Err(Unauthenticated { reasons })
    }
}

#[cfg(test)]
mod tests;
