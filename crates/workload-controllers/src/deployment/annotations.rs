//! The annotations by which a deployment keeps the history of its replica sets.

use std::collections::BTreeMap;

use controller_runtime::objects::Deployment;

/// The revision of a replica set, and the present one of a deployment.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revisions that a replica set had before it was rolled back to.
pub const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// How many pods the deployment wanted when it last scaled the set.
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// How many pods there could be in all at that time, surge included.
pub const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
/// The longest history kept, in characters; upstream's value.
const HISTORY_LENGTH: usize = 2000;

/// Annotations of a deployment that its replica sets do not take over.
const OWN: [&str; 6] =
    [informer::LAST_APPLIED, REVISION, HISTORY, DESIRED, MAXIMUM, "deprecated.daemonset.template.generation"];

/// Copies the deployment's annotations to those of its new replica set and gives that the next revision.
pub fn annotate(annotations: &mut BTreeMap<String, String>, deployment: &Deployment, next: i64) {
    for (key, value) in &deployment.metadata.annotations {
        if !OWN.contains(&&**key) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let before = annotations.get(REVISION).cloned();
    if revision(annotations) >= next {
        return;
    }
    annotations.insert(REVISION.to_owned(), next.to_string());
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        let mut history = annotations.get(HISTORY).cloned().unwrap_or_default();
        if !history.is_empty() {
            history.push(',');
        }
        history.push_str(&before);
        while history.len() > HISTORY_LENGTH {
            match history.split_once(',') {
                Some((_, rest)) => history = rest.to_owned(),
                None => history.clear(),
            }
        }
        annotations.insert(HISTORY.to_owned(), history);
    }
}

/// Returns the revision among these annotations, 0 if there is none.
pub fn revision(annotations: &BTreeMap<String, String>) -> i64 {
    number(annotations, REVISION).unwrap_or(0)
}

/// Reads a number from an annotation.
pub fn number(annotations: &BTreeMap<String, String>, name: &str) -> Option<i64> {
    annotations.get(name)?.parse().ok()
}
