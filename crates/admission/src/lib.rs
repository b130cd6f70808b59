//! The admission chain: plugins that change or refuse a write before it is stored.
//!
//! The server runs [`Chain::admit`] on the defaulted object, then the kind's own preparation and validation, then
//! [`Chain::validate`], then [`quota`]'s charges, then stores. Everything is pure: what a plugin must know of the
//! cluster it asks a [`View`].

mod always_pull_images;
mod attributes;
mod certificates;
mod chain;
mod cluster_trust_bundle_attest;
pub mod conditions;
mod default_class;
mod default_ingress_class;
mod default_storage_class;
mod default_toleration_seconds;
mod deny_service_external_ips;
pub mod expressions;
mod extended_resource_toleration;
pub mod hooks;
mod limit_ranger;
mod namespace_exists;
mod namespace_lifecycle;
mod node_restriction;
mod persistent_volume_claim_resize;
mod plugin;
mod pod_node_selector;
mod pod_security;
mod pod_topology_labels;
mod policy;
mod priority;
pub mod quota;
pub mod review;
pub mod rules;
mod runtime_class;
mod selection;
mod service_account;
mod storage_object_in_use_protection;
mod taint_nodes_by_condition;

#[cfg(test)]
mod testing;

pub use apimachinery::User;
pub use attributes::{Attributes, Operation};
pub use chain::{Chain, UnknownPlugin};
pub use plugin::{Access, Awaited, Context, MayDo, Plugin, ResourceOf, View};
