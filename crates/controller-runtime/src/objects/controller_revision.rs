//! Controller revisions: the history of templates of daemon sets and stateful sets.

use informer::Metadata;
use serde::Deserialize;
use serde_json::Value;

use super::resource;

/// A template that was in use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ControllerRevision {
    /// The metadata.
    pub metadata: Metadata,
    /// The template, as a patch of its owner.
    pub data: Value,
    /// The place in the history.
    pub revision: i64,
}

resource!(ControllerRevision, "apps", "v1", "ControllerRevision", "controllerrevisions");
