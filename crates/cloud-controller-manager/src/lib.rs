//! The provider for clusters on machines of one's own: Services of type LoadBalancer get addresses from a pool.
//!
//! The controller gives each such Service an address and names the node that is to answer for it; the node's `podnet`
//! puts the address on its network. Both are told in the Service itself.

mod cloud;
mod config;
mod controllers;
mod pool;
mod run;
mod service_lb;

pub use config::{Config, IGNORED};
pub use run::run;
