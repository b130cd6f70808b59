//! Who a request is from: client certificates, service-account tokens, bootstrap tokens, a front proxy, or nobody.
//!
//! [`Peer`] is made once for each connection from what TLS proved; [`Authenticator::authenticate`] is asked once
//! for each request. Nothing here does I/O or reads a clock: the server hands in the time, and a [`Lookup`] over
//! what it already holds in memory.

mod anonymous;
mod authenticator;
pub mod bootstrap_token;
mod cache;
pub mod claims;
mod der;
pub mod discovery;
mod jws;
pub mod keys;
mod legacy;
mod lookup;
mod peer;
mod request_header;
mod service_account;
mod user;
pub mod x509;

pub use anonymous::Anonymous;
pub use authenticator::{Authenticator, Credentials, Unauthenticated, bearer_token};
pub use bootstrap_token::BootstrapToken;
pub use claims::Claims;
pub use keys::{KeyError, SigningKey, VerificationKey};
pub use lookup::{Lookup, Referent};
pub use peer::{DeferredVerifier, Peer};
pub use request_header::RequestHeader;
pub use service_account::{Issuer, TokenError, TokenIdentity, TokenVerifier};
pub use user::UserInfo;
pub use x509::ClientAuthority;
