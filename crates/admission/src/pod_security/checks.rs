//! What the checks of all levels share: a finding, and the containers of a pod by name.

use std::collections::BTreeSet;

use serde_json::Value;
use strategy::read::Read;

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

/// The refusal of containers that add other capabilities than those allowed.
pub(super) fn added_capabilities(spec: &Value, allowed: &[&str]) -> Option<String> {
    fn own<'a>(container: &'a Value, allowed: &[&str]) -> Vec<&'a str> {
        let added = container["securityContext"]["capabilities"].items("add");
        added.iter().filter_map(Value::as_str).filter(|name| !allowed.contains(name)).collect()
    }
    let who = names(spec, |container| !own(container, allowed).is_empty());
    let what = unique(containers(spec).flat_map(|container| own(container, allowed)));
    (!who.is_empty()).then(|| {
        format!("{} must not include {} in securityContext.capabilities.add", listed(&who), quoted(&what))
    })
}

/// `container "a"` or `containers "a", "b"`.
pub(super) fn listed(names: &[&str]) -> String {
    format!("{} {}", plural("container", names.len()), quoted(names))
}

/// The pod, some of its containers, or both; `None` where nobody does it.
pub(super) fn offenders(spec: &Value, does: impl Fn(&Value) -> bool) -> Option<String> {
    let pod = does(&spec["securityContext"]);
    let bad = names(spec, |container| does(&container["securityContext"]));
    match (pod, &bad[..]) {
        (false, []) => None,
        (true, []) => Some("pod".to_owned()),
        (true, bad) => Some(format!("pod and {}", listed(bad))),
        (false, bad) => Some(listed(bad)),
    }
}

/// Each once, in order.
pub(super) fn unique<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().collect::<BTreeSet<T>>().into_iter().collect()
}

/// The word with an `s` unless there is one.
pub(super) fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// `"a", "b"`
pub(super) fn quoted<T: AsRef<str>>(items: &[T]) -> String {
    items.iter().map(|item| format!("{:?}", item.as_ref())).collect::<Vec<_>>().join(", ")
}
