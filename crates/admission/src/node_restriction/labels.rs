//! Which labels of its own node a kubelet may not touch.

use serde_json::Value;
use strategy::read::Read;

/// Labels outside the kubelet's own namespaces that it reports all the same.
const OWN: [&str; 13] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "node.kubernetes.io/windows-build",
    "kubernetes.io/os-version",
];
const OWN_NAMESPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// The labels that differ between two forms of a node and are not the kubelet's to change, sorted.
pub(super) fn forbidden(new: &Value, old: &Value) -> Vec<String> {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let mut found: Vec<String> = new
        .entries("labels")
        .filter(|(key, value)| old["labels"].get(key.as_str()) != Some(value))
        .map(|(key, _)| key)
        .chain(old.entries("labels").map(|(key, _)| key).filter(|key| !new["labels"].has(key)))
        .filter(|key| is_forbidden(key))
        .cloned()
        .collect();
    found.sort();
    found.dedup();
    found
}

fn is_forbidden(label: &str) -> bool {
    let namespace = label.split_once('/').map_or("", |(namespace, _)| namespace);
    if within(namespace, "node-restriction.kubernetes.io") {
        return true;
    }
    let reserved = within(namespace, "kubernetes.io") || within(namespace, "k8s.io");
    let own = OWN.contains(&label) || OWN_NAMESPACES.iter().any(|known| within(namespace, known));
    reserved && !own
}

fn within(namespace: &str, domain: &str) -> bool {
    namespace == domain || namespace.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;

    #[test]
    fn reserved_labels_are_not_the_kubelets() {
        for label in ["node-restriction.kubernetes.io/a", "node-role.kubernetes.io/master", "a.k8s.io/b"] {
            assert!(is_forbidden(label), "{label}");
        }
        for label in ["app", "example.com/a", "kubernetes.io/arch", "x.node.kubernetes.io/b"] {
            assert!(!is_forbidden(label), "{label}");
        }
    }
}
