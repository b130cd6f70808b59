//! Who a request is from: client certificates, service-account tokens, bootstrap tokens, a front proxy, or nobody.
//!
//! [`Peer`] is made once for each connection from what TLS proved; [`Authenticator::authenticate`] is asked once
//! for each request. Nothing here does I/O or reads a clock: the server hands in the time, a [`Lookup`] over what it
//! already holds in memory, and an [`Outside`] for each place elsewhere that knows of tokens.

mod anonymous;
mod authenticator;
pub mod bootstrap_token;
mod cache;
pub mod claims;
mod der;
pub mod discovery;
mod jws;
pub mod jwt;
pub mod keys;
mod legacy;
mod lookup;
mod outside;
mod service_account;
mod token_file;
pub mod token_review;

pub use anonymous::Anonymous;
pub use authenticator::{Authenticator, Credentials, Unauthenticated};
pub use bootstrap_token::BootstrapToken;
pub use claims::Claims;
pub use keys::{KeyError, SigningKey, VerificationKey};
pub use legacy::{LAST_USED, day};
pub use lookup::{Lookup, Referent};
pub use outside::{Answer, Found, Known, Outside};
pub use peers::{ClientAuthority, Peer, RequestHeader, UserInfo, bearer_token, service_account_groups, x509};
pub use service_account::{Issuer, TokenError, TokenIdentity, TokenVerifier};
pub use token_file::TokenFile;
