//! What happens to an object, given the state of its owners.

use controller_runtime::api::Propagation;
use serde_json::Value;

use super::graph::{FOREGROUND, ORPHAN};
use super::has_finalizer;

/// The owners of an object, by whether they live.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// How many live and are to stay.
    pub solid: usize,
    /// The uids of those that are gone.
    pub dangling: Vec<String>,
    /// The uids of those that are on their way out and wait for their dependents.
    pub waiting: Vec<String>,
}

/// What is to be done about the object.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// It stays as it is.
    Nothing,
    /// It stays, without the references to these owners.
    DropReferences(Vec<String>),
    /// It goes.
    Delete(Propagation),
    /// It goes before the owner that waits for it, and after its own dependents.
    DeleteWaiting(Propagation),
}

/// Decides.
pub fn decide(owners: &Owners, has_dependents: bool, live: &Value) -> Action {
    if owners.solid > 0 {
        let lost: Vec<String> = owners.dangling.iter().chain(&owners.waiting).cloned().collect();
        return if lost.is_empty() { Action::Nothing } else { Action::DropReferences(lost) };
    }
    if !owners.waiting.is_empty() && has_dependents {
        return Action::DeleteWaiting(Propagation::Foreground);
    }
    // A choice made for this very object by its finalizers outlives the loss of its owners.
    Action::Delete(if has_finalizer(live, ORPHAN) {
        Propagation::Orphan
    } else if has_finalizer(live, FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_goes_when_no_owner_is_left() {
        let owners = |solid: usize, dangling: &[&str], waiting: &[&str]| Owners {
            solid,
            dangling: dangling.iter().map(|uid| (*uid).to_owned()).collect(),
            waiting: waiting.iter().map(|uid| (*uid).to_owned()).collect(),
        };
        let drop = |uids: &[&str]| Action::DropReferences(uids.iter().map(|uid| (*uid).to_owned()).collect());
        for (owners, has_dependents, finalizers, expected) in [
            (owners(1, &[], &[]), false, json!([]), Action::Nothing),
            (owners(1, &["a"], &["b"]), true, json!([]), drop(&["a", "b"])),
            (owners(0, &["a"], &[]), true, json!([]), Action::Delete(Propagation::Background)),
            (owners(0, &["a"], &[]), true, json!([ORPHAN]), Action::Delete(Propagation::Orphan)),
            (owners(0, &["a"], &[]), true, json!([FOREGROUND]), Action::Delete(Propagation::Foreground)),
            (owners(0, &[], &["b"]), true, json!([]), Action::DeleteWaiting(Propagation::Foreground)),
            (owners(0, &[], &["b"]), false, json!([]), Action::Delete(Propagation::Background)),
        ] {
            let live = json!({"metadata": {"finalizers": finalizers}});
            assert_eq!(decide(&owners, has_dependents, &live), expected);
        }
    }
}
