//! Who is at the other end of a connection: the user of a certificate, or whom a front proxy names.
//!
//! What every server of the cluster shares that knows its clients: no clock, no file, no network. The chain of
//! certificates comes from TLS, whose handshake has proved the key ([`pki::AnyClient`]); whom to believe comes from
//! flags, or from what the API server has written down ([`Authorities`]).

mod authorities;
mod peer;
mod request_header;
mod token;
pub mod user;
pub mod x509;

pub use authorities::{Authorities, Unreadable};
pub use peer::Peer;
pub use request_header::RequestHeader;
pub use token::bearer_token;
pub use user::{UserInfo, service_account_groups};
pub use x509::{CertificateError, ClientAuthority, Subject};
