//! Keys, certificates and kubeconfigs: made, read, and reloaded when their files change.

mod any_client;
mod authority;
pub mod cluster;
mod described;
mod files;
mod inspect;
mod kubeconfig;
mod names;
mod refusal;
mod reload;
mod request;
mod trust;

pub use any_client::{AnyClient, client_signatures};
pub use authority::{Authority, Issued, Leaf, Usage, signing_key};
pub use described::{Described, moment};
pub use files::{Error, pem, read_certificates, read_key, read_roots, write_private, write_public};
pub use inspect::{certificates_of, is_signed_by, public_key_hash};
pub use kubeconfig::{Credentials, Kubeconfig};
pub use refusal::{has_ended, refusal};
pub use reload::{Identity, client_config, client_verifier, server_config};
pub use request::{KeyUse, Request};
pub use trust::Trust;
