//! How the class is chosen that is marked as the default for claims or ingresses.

use std::sync::Arc;

use apimachinery::ObjectExt;
use serde_json::Value;

/// The class with one of these annotations set to `true`: of several the newest, of those the first by name.
pub(crate) fn choose(classes: Vec<Arc<Value>>, annotations: &[&str]) -> Option<Arc<Value>> {
    classes
        .into_iter()
        .filter(|class| annotations.iter().any(|annotation| class.annotation(annotation) == Some("true")))
        .max_by(|a, b| {
            a.creation_timestamp().cmp(b.creation_timestamp()).then_with(|| b.name().cmp(a.name()))
        })
}
