//! Persistent volumes, claims and storage classes, as far as they decide about nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::NodeSelector;

/// A claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The volume it is bound to.
    pub volume: Option<Box<str>>,
    /// The class it asks for.
    pub class: Option<Box<str>>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// A volume: the nodes it can be used on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// None means all.
    pub nodes: Option<NodeSelector>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volumes {
    /// Claims by `namespace/name`.
    pub claims: BTreeMap<Box<str>, Claim>,
    /// Volumes by name.
    pub volumes: BTreeMap<Box<str>, Volume>,
    /// The classes whose claims wait for their pod to have a node.
    pub waiting_classes: std::collections::BTreeSet<Box<str>>,
}
