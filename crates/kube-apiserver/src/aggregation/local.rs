//! The APIServices of the groups that this server serves itself, with upstream's priorities.

use std::collections::BTreeSet;

use schema::Resource;
use serde_json::{Value, json};

/// Marks what the server keeps by itself.
pub const AUTOMANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// Group, its priority, and its versions with theirs.
type Priorities = (&'static str, i64, &'static [(&'static str, i64)]);

/// A group that is not here has no APIService, as
/// `apiregistration.k8s.io` itself.
const PRIORITIES: &[Priorities] = &[
    ("", 18000, &[("v1", 1)]),
    ("apps", 17800, &[("v1", 15)]),
    ("events.k8s.io", 17750, &[("v1", 15)]),
    ("authentication.k8s.io", 17700, &[("v1", 15), ("v1beta1", 9), ("v1alpha1", 1)]),
    ("authorization.k8s.io", 17600, &[("v1", 15)]),
    ("autoscaling", 17500, &[("v1", 15), ("v2", 30)]),
    ("batch", 17400, &[("v1", 15)]),
    ("certificates.k8s.io", 17300, &[("v1", 15), ("v1beta1", 9), ("v1alpha1", 1)]),
    ("networking.k8s.io", 17200, &[("v1", 15), ("v1beta1", 9)]),
    ("policy", 17100, &[("v1", 15)]),
    ("rbac.authorization.k8s.io", 17000, &[("v1", 15)]),
    ("storage.k8s.io", 16800, &[("v1", 15), ("v1beta1", 9), ("v1alpha1", 1)]),
    ("apiextensions.k8s.io", 16700, &[("v1", 15)]),
    ("admissionregistration.k8s.io", 16700, &[("v1", 15), ("v1beta1", 12), ("v1alpha1", 9)]),
    ("scheduling.k8s.io", 16600, &[("v1", 15), ("v1alpha2", 9)]),
    ("coordination.k8s.io", 16500, &[("v1", 15), ("v1beta1", 13), ("v1alpha2", 12)]),
    ("node.k8s.io", 16300, &[("v1", 15)]),
    ("discovery.k8s.io", 16200, &[("v1", 15)]),
    ("resource.k8s.io", 16200, &[("v1", 20), ("v1beta2", 15), ("v1beta1", 9), ("v1alpha3", 1)]),
    ("flowcontrol.apiserver.k8s.io", 16100, &[("v1", 21)]),
    ("internal.apiserver.k8s.io", 16000, &[("v1alpha1", 9)]),
    ("storagemigration.k8s.io", 15800, &[("v1beta1", 9)]),
];

/// The priority of one of this server's own groups among all groups.
pub fn group_priority(group: &str) -> Option<i64> {
    PRIORITIES.iter().find(|(name, ..)| *name == group).map(|(_, priority, _)| *priority)
}

/// The APIServices of what is served, each Available.
pub fn objects<'a>(rows: impl IntoIterator<Item = &'a Resource>, now: &str) -> Vec<Value> {
    let served: BTreeSet<(&str, &str)> = rows.into_iter().map(|row| (&*row.group, &*row.version)).collect();
    let mut objects = Vec::new();
    for (group, priority, versions) in PRIORITIES {
        for (version, version_priority) in
            versions.iter().filter(|(version, _)| served.contains(&(*group, *version)))
        {
            let mut spec = json!({
                "version": version, "groupPriorityMinimum": priority, "versionPriority": version_priority,
            });
            if !group.is_empty() {
                spec["group"] = (*group).into();
            }
            objects.push(json!({
                "kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
                "metadata": {"name": format!("{version}.{group}"), "labels": {AUTOMANAGED: "onstart"}},
                "spec": spec,
                "status": {"conditions": [super::availability::Verdict::local().condition(None, now)]},
            }));
        }
    }
    objects
}

/// The APIService of a version that definitions of custom resources declare, Available.
pub fn of_definitions(group: &str, version: &str, now: &str) -> Value {
    json!({
        "kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": format!("{version}.{group}"), "labels": {AUTOMANAGED: "true"}},
        // Upstream's: behind all built-in groups, all of one priority, so that their names decide.
        "spec": {"group": group, "version": version, "groupPriorityMinimum": 1000, "versionPriority": 100},
        "status": {"conditions": [super::availability::Verdict::local().condition(None, now)]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stable_group_but_the_registration_itself_has_its_service() {
        let rows: Vec<Resource> = schema::catalogue()
            .all()
            .filter(|row| row.stability == schema::Stability::Stable)
            .cloned()
            .collect();
        let names: Vec<String> = objects(&rows, "2026-01-01T00:00:00Z")
            .iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        let mut served: Vec<String> = rows
            .iter()
            .map(|row| format!("{}.{}", row.version, row.group))
            .filter(|name| name != "v1.apiregistration.k8s.io")
            .collect();
        served.sort();
        served.dedup();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(sorted, served);
        assert_eq!(names[0], "v1.");
        assert!(names.contains(&"v2.autoscaling".to_owned()));
    }
}
