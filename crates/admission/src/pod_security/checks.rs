//! What the checks of all levels share: a finding, and the containers of a pod by name.

use kinds::read::Read;
use serde_json::Value;

/// One standard that a pod breaks.
pub(super) struct Finding {
    /// Upstream's name of the check, by which findings are ordered.
    pub check: &'static str,
    /// What is not as it must be.
    pub reason: &'static str,
    /// Which parts of the pod, and what they would have to say.
    pub detail: String,
}

/// All containers of a pod, in the order in which upstream visits them.
pub(super) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| spec.items(list))
}

/// Names of the containers for which something holds.
pub(super) fn names(spec: &Value, holds: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(spec).filter(|container| holds(container)).map(|container| container.text("name")).collect()
}

/// `container "a"` or `containers "a", "b"`.
pub(super) fn listed(names: &[&str]) -> String {
    format!("{} {}", plural("container", names.len()), quoted(names))
}

/// The word with an `s` unless there is one.
pub(super) fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// `"a", "b"`
pub(super) fn quoted<T: AsRef<str>>(items: &[T]) -> String {
    items.iter().map(|item| format!("{:?}", item.as_ref())).collect::<Vec<_>>().join(", ")
}
