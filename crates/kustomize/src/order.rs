//! The order of what a kustomization builds: what others need comes first, as kubectl has it.

use apimachinery::object::ObjectExt;
use serde_json::Value;

const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Sorts objects by kind, then by name. Kinds that are not listed come by group, the core group after all others.
pub fn sort(objects: &mut [Value]) {
    objects.sort_by_cached_key(|object| {
        let kind = object.kind();
        let rank = match (position(FIRST, kind), position(LAST, kind)) {
            (Some(at), _) => at,
            (None, None) => FIRST.len(),
            (None, Some(at)) => FIRST.len() + 1 + at,
        };
        let (group, version) = object.api_version().split_once('/').unwrap_or(("~G", object.api_version()));
        let namespace = if object.namespace().is_empty() { "~X" } else { object.namespace() };
        (rank, [group, version, kind, namespace, object.name()].map(str::to_owned))
    });
}

fn position(kinds: &[&str], kind: &str) -> Option<usize> {
    kinds.iter().position(|known| *known == kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_need_comes_first() {
        let object = |api_version: &str, kind: &str, name: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        let mut objects = vec![
            object("a/v1", "ValidatingWebhookConfiguration", "v"),
            object("v1", "Pod", "p"),
            object("apps/v1", "Deployment", "d"),
            object("v1", "ConfigMap", "b"),
            object("example.com/v1", "Gadget", "g"),
            object("v1", "ConfigMap", "a"),
            object("v1", "Namespace", "n"),
        ];
        sort(&mut objects);
        let names: Vec<&str> = objects.iter().map(|object| object.name()).collect();
        assert_eq!(names, ["n", "a", "b", "d", "g", "p", "v"]);
    }
}
