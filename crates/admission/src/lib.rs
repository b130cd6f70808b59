//! The admission chain: plugins that change or refuse a write before it is stored.
//!
//! The server runs [`Chain::admit`] on the defaulted object, then the kind's own preparation and validation, then
//! [`Chain::validate`], then [`quota`]'s charges, then stores. Everything is pure: what a plugin must know of the
//! cluster it asks a [`View`].

mod always_admit;
mod always_deny;
mod always_pull_images;
mod attributes;
mod certificates;
mod chain;
mod cluster_trust_bundle_attest;
pub mod conditions;
pub mod configuration;
mod default_class;
mod default_ingress_class;
mod default_storage_class;
mod default_toleration_seconds;
mod deny_service_external_ips;
mod event_rate_limit;
pub mod expressions;
mod extended_resource_toleration;
pub mod hooks;
pub mod image_policy;
mod limit_pod_hard_anti_affinity_topology;
mod limit_ranger;
mod namespace_exists;
mod namespace_lifecycle;
mod node_declared_features;
mod node_restriction;
mod owner_references_permission_enforcement;
mod persistent_volume_claim_resize;
mod plugin;
mod pod_node_selector;
mod pod_security;
mod pod_toleration_restriction;
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
pub use certificates::allows_for_signer;
pub use chain::{Chain, Unusable};
pub use configuration::Configurations;
pub use plugin::{Access, Awaited, Context, Judgement, MayDo, Plugin, ResourceOf, Steps, View};
