//! What a request may do: RBAC and the Node authoriser over an index fed by watches, policies of a file, webhooks.
//!
//! The server feeds [`Rbac`] and [`NodeGraph`] from its watch cache (`apply`, `delete`, `reset`) and asks a
//! [`Chain`] for each request. Nothing here does I/O. A check takes a read lock for the time of a few hash
//! look-ups: it costs by the bindings of the user and its groups, not by the number of roles in the cluster.

mod abac;
mod attributes;
pub mod bootstrap;
mod chain;
pub mod configuration;
mod denial;
pub mod escalation;
mod node;
mod rbac;
mod rule;
pub mod webhook;

pub use abac::{Abac, PolicyError};
pub use apimachinery::User;
pub use attributes::Attributes;
pub use chain::{Authorizer, Chain, Mode, UnknownMode};
pub use denial::forbidden;
pub use node::{NodeGraph, node_name};
pub use rbac::{Decision, Rbac, RbacKind, Reason, RuleSet};
pub use rule::Rule;
