//! Outgoing HTTPS calls of the server: to admission and conversion webhooks by their `clientConfig`, to whatever else a
//! kubeconfig names.
//!
//! A [`Client`] stands for one place that is called. It keeps the connections that were used and uses them again; its
//! answers are bounded in size and time, and its failures are worded as Go's HTTP client words them, since operators
//! match on these words. [`dial`] makes one connection, for those who keep none.

mod client;
mod client_config;
pub mod dial;
mod error;
mod kubeconfig;
mod pool;
mod url;
mod users;

pub use client::Client;
pub use client_config::{Service, Services, system_trust};
pub use dial::{DialError, Place, Target};
pub use error::{CallError, ConfigError};
pub use users::Users;
