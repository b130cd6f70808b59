//! Namespaces.

use informer::{Metadata, null_is_default};
use serde::Deserialize;

use super::{Condition, resource};

/// A namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: NamespaceSpec,
    /// What is.
    pub status: NamespaceStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    /// What must happen before the namespace may go away.
    #[serde(deserialize_with = "null_is_default")]
    pub finalizers: Vec<String>,
}

/// What is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: String,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

resource!(Namespace, "", "v1", "Namespace", "namespaces");

impl Namespace {
    /// Tells whether objects may be created in the namespace.
    pub fn is_active(&self) -> bool {
        !self.metadata.is_deleting() && self.status.phase != "Terminating"
    }
}
