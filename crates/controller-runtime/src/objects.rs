//! The objects that controllers watch, each cut down to the fields that some controller reads.

pub mod certificate_request;
mod condition;
pub mod controller_revision;
pub mod cron_job;
pub mod daemon_set;
mod deployment;
pub mod endpoint_slice;
pub mod endpoints;
pub mod job;
mod lease;
mod namespace;
mod node;
mod pod;
mod replica_set;
mod service;
pub mod stateful_set;
mod template;

use apimachinery::labels::Selector;
use informer::{Metadata, Object};
use serde::{Deserialize, Deserializer};

pub use condition::{Condition, find, is_true};
pub use deployment::{Deployment, DeploymentSpec, DeploymentStatus, Strategy};
pub use endpoint_slice::EndpointSlice;
pub use endpoints::Endpoints;
pub use lease::Lease;
pub use namespace::Namespace;
pub use node::Node;
pub use pod::{ContainerStatus, Pod};
pub use replica_set::{ReplicaSet, ReplicaSetStatus, ReplicationController};
pub use service::{Service, ServicePort};
pub use template::Template;

/// An object type that a controller watches: where the API serves it, and its metadata.
pub trait Resource: Object {
    /// The API group, empty for the core group.
    const GROUP: &'static str;
    /// The version of the group.
    const VERSION: &'static str;
    /// The kind.
    const KIND: &'static str;
    /// The plural name in paths.
    const PLURAL: &'static str;

    /// Returns the metadata.
    fn metadata(&self) -> &Metadata;

    /// Returns `group/version`, or the version alone in the core group.
    fn api_version() -> String {
        if Self::GROUP.is_empty() {
            Self::VERSION.to_owned()
        } else {
            format!("{}/{}", Self::GROUP, Self::VERSION)
        }
    }
}

/// Makes a struct with a `metadata` field an [`Object`] and a [`Resource`].
#[macro_export]
macro_rules! resource {
    ($type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal) => {
        impl informer::Object for $type {
            fn identity(&self) -> informer::IdentityRef<'_> {
                self.metadata.identity()
            }
            fn trim(&mut self) {
                self.metadata.trim();
            }
        }
        impl $crate::objects::Resource for $type {
            const GROUP: &'static str = $group;
            const VERSION: &'static str = $version;
            const KIND: &'static str = $kind;
            const PLURAL: &'static str = $plural;
            fn metadata(&self) -> &informer::Metadata {
                &self.metadata
            }
        }
    };
}
pub use crate::resource;

/// Reads a `LabelSelector`; none at all, and one that cannot be read, selects nothing.
pub fn label_selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(Selector::from_label_selector(&value).unwrap_or_else(|_| Selector::nothing()))
}

/// Reads the plain map by which services and replication controllers select; an empty one selects nothing.
fn map_selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
    let map: std::collections::BTreeMap<String, String> = informer::null_is_default(deserializer)?;
    if map.is_empty() {
        return Ok(Selector::nothing());
    }
    Ok(Selector::from_pairs(map.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
}
