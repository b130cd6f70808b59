//! The annotation in which kubectl keeps what it applied by itself, when it lets the server apply.

use serde_json::{Map, Value};

use crate::apply::Apply;
use crate::compare::{NOTHING, compare};
use crate::ownership::named;
use crate::set::Set;

/// The annotation.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager for whom it counts. Other names opt out.
const KUBECTL: &str = "kubectl";
/// Bytes that all annotations of an object may take together.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// What kubectl may change although others own it: what it had applied itself and nobody changed since.
pub fn allowed(apply: &Apply<'_>, live: &Value) -> Option<Set<'static>> {
    if apply.writer.manager != KUBECTL {
        return None;
    }
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied["apiVersion"] != apply.writer.api_version {
        return None;
    }
    let mut set = named(apply.ty, &applied);
    let difference = compare(apply.ty, &applied, live, NOTHING);
    set.subtract(&difference.changed);
    set.subtract(&difference.removed);
    Some(set.into_owned())
}

/// Keeps the annotation, where there is one, in step with what kubectl applies.
pub fn follow(apply: &Apply<'_>, object: &mut Value) {
    if apply.writer.manager != KUBECTL {
        return;
    }
    let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") else { return };
    if annotations.get(LAST_APPLIED).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut config = apply.config.clone();
    if let Some(Value::Object(annotations)) = config.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
    }
    annotations.insert(LAST_APPLIED.to_owned(), format!("{}\n", formats::json::compact(&config)).into());
    if size(annotations) > ANNOTATIONS_LIMIT {
        annotations.remove(LAST_APPLIED);
    }
}

fn size(annotations: &Map<String, Value>) -> usize {
    annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
}
