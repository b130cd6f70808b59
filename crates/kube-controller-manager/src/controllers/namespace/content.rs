//! What is left in a namespace on its way out, and how its conditions say so.

use std::collections::BTreeMap;
use std::time::Duration;

use component::cause::whole;
use controller_runtime::api::Error;
use controller_runtime::objects::{Condition, find};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::discovery::Served;

/// What a pass over the content of a namespace found.
#[derive(Debug, Default)]
pub struct Content {
    /// Groups that could not be discovered.
    failed_groups: Vec<String>,
    /// Objects left, by resource.
    remaining: BTreeMap<String, usize>,
    /// Finalizers that hold objects.
    finalizers: BTreeMap<String, usize>,
    /// Resources that could not be deleted.
    failures: Vec<String>,
    /// How long what remains may take.
    grace: Option<Duration>,
}

impl Content {
    /// Starts with nothing left but groups that could not be discovered.
    pub fn new(failed_groups: Vec<String>) -> Content {
        Content { failed_groups, ..Content::default() }
    }

    /// Notes what is left of a resource.
    pub fn note(&mut self, resource: &Served, remaining: &[Value], grace: Option<Duration>) {
        if remaining.is_empty() {
            return;
        }
        self.remaining.insert(resource.name(), remaining.len());
        for object in remaining {
            for finalizer in object["metadata"]["finalizers"].as_array().into_iter().flatten() {
                if let Some(finalizer) = finalizer.as_str() {
                    *self.finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
                }
            }
        }
        self.grace = self.grace.max(grace);
    }

    /// Notes that a resource could not be deleted.
    pub fn note_failure(&mut self, resource: &Served, error: Option<Error>) {
        if let Some(error) = error {
            self.failures.push(format!("unexpected error deleting {}: {}", resource.name(), whole(&error)));
        }
    }

    /// Tells whether anything remains of what was looked at so far.
    pub fn is_waiting(&self) -> bool {
        !self.remaining.is_empty() || !self.failures.is_empty()
    }

    /// Tells whether the namespace is empty and known to be.
    pub fn is_gone(&self) -> bool {
        !self.is_waiting() && self.failed_groups.is_empty()
    }

    /// Returns when to look again: half the grace of what remains, as upstream does, or soon with back-off.
    pub fn look_again(&self) -> Option<Duration> {
        self.grace.map(|grace| grace / 2 + Duration::from_secs(1))
    }

    /// Returns the namespace's conditions, the order and the times of unchanged ones kept.
    pub fn conditions(&self, before: &[Condition], now: Timestamp) -> Vec<Condition> {
        let counted = |counts: &BTreeMap<String, usize>, word: &str| {
            counts
                .iter()
                .map(|(name, count)| format!("{name}{word}{count} resource instances"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let discovery = if self.failed_groups.is_empty() {
            ("False", "ResourcesDiscovered", "All resources successfully discovered".to_owned())
        } else {
            let (count, groups) = (self.failed_groups.len(), self.failed_groups.join(", "));
            let message = format!(
                "Discovery failed for some groups, {count} failing: unable to retrieve the complete list of server APIs: {groups}"
            );
            ("True", "DiscoveryFailed", message)
        };
        let failure = if self.failures.is_empty() {
            let message = "All content successfully deleted, may be waiting on finalization".to_owned();
            ("False", "ContentDeleted", message)
        } else {
            let (count, failures) = (self.failures.len(), self.failures.join(", "));
            (
                "True",
                "ContentDeletionFailed",
                format!("Failed to delete all resource types, {count} remaining: {failures}"),
            )
        };
        let remaining = if self.remaining.is_empty() {
            ("False", "ContentRemoved", "All content successfully removed".to_owned())
        } else {
            let counts = counted(&self.remaining, " has ");
            ("True", "SomeResourcesRemain", format!("Some resources are remaining: {counts}"))
        };
        let finalizers = if self.finalizers.is_empty() {
            ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned())
        } else {
            let counts = counted(&self.finalizers, " in ");
            (
                "True",
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {counts}"),
            )
        };
        let parsed = ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed".to_owned());
        let mut conditions = before.to_vec();
        for (kind, (status, reason, message)) in [
            ("NamespaceDeletionDiscoveryFailure", discovery),
            ("NamespaceDeletionGroupVersionParsingFailure", parsed),
            ("NamespaceDeletionContentFailure", failure),
            ("NamespaceContentRemaining", remaining),
            ("NamespaceFinalizersRemaining", finalizers),
        ] {
            let same = find(before, kind).is_some_and(|present| {
                present.status == status && present.reason == reason && present.message == message
            });
            if same {
                continue;
            }
            let transition = find(before, kind)
                .filter(|present| present.status == status)
                .and_then(|present| present.last_transition_time.clone());
            let condition = Condition {
                kind: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                last_transition_time: transition.or(Some(Time(now))),
                ..Condition::default()
            };
            match conditions.iter_mut().find(|present| present.kind == kind) {
                Some(present) => *present = condition,
                None => conditions.push(condition),
            }
        }
        conditions
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn pods() -> Served {
        Served {
            group: String::new(),
            version: "v1".to_owned(),
            plural: "pods".to_owned(),
            kind: "Pod".to_owned(),
            namespaced: true,
            verbs: Vec::new(),
        }
    }

    #[test]
    fn says_what_remains_and_keeps_the_time_of_what_did_not_change() {
        let early: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut content = Content::default();
        let held = json!({"metadata": {"name": "a", "finalizers": ["x.io/hold"]}});
        content.note(&pods(), &[held, json!({"metadata": {"name": "b"}})], Some(Duration::from_secs(30)));
        assert!(!content.is_gone());
        assert_eq!(content.look_again(), Some(Duration::from_secs(16)));
        let first = content.conditions(&[], early);
        let told: Vec<String> =
            first.iter().map(|one| format!("{} {} {}", one.kind, one.status, one.message)).collect();
        expect![[r#"
            NamespaceDeletionDiscoveryFailure False All resources successfully discovered
            NamespaceDeletionGroupVersionParsingFailure False All legacy kube types successfully parsed
            NamespaceDeletionContentFailure False All content successfully deleted, may be waiting on finalization
            NamespaceContentRemaining True Some resources are remaining: pods. has 2 resource instances
            NamespaceFinalizersRemaining True Some content in the namespace has finalizers remaining: x.io/hold in 1 resource instances"#]]
        .assert_eq(&told.join("\n"));
        assert_eq!(content.conditions(&first, later), first);
        let gone = Content::default().conditions(&first, later);
        let time = |index: usize| gone[index].last_transition_time.as_ref().unwrap().0;
        assert_eq!((time(0), time(3)), (early, later));
        assert!(Content::default().is_gone());
        assert!(!Content::new(vec!["x.io/v1".to_owned()]).is_gone());
    }
}
