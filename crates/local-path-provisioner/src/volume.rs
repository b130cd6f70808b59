//! What to do about a volume whose claim has gone, and which volumes are whose.

use crate::objects::Volume;

/// Names the provisioner of a volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Tells on which node a volume is, for people.
pub const SELECTED_NODE: &str = "local.path.provisioner/selected-node";
/// The label by which a volume says on which node it is.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// Holds a volume until its data are gone (upstream's name, which all external provisioners share).
pub const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";

/// Who a provisioner is.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// The name by which storage classes ask for it.
    pub provisioner: &'a str,
    /// Its node.
    pub node: &'a str,
    /// The node's label of that name.
    pub hostname: &'a str,
}

/// Tells whether a volume was made by this provisioner, on this node.
pub fn is_own(own: &Own<'_>, volume: &Volume) -> bool {
    let made_here =
        volume.metadata.annotations.get(PROVISIONED_BY).is_some_and(|name| name == own.provisioner);
    let required = volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let mut terms = required.into_iter().flat_map(|required| &required.node_selector_terms);
    made_here
        && terms.any(|term| {
            term.match_expressions.iter().flatten().any(|one| {
                let values = one.values.as_deref().unwrap_or_default();
                one.key == HOSTNAME
                    && one.operator == "In"
                    && values.iter().any(|value| value == own.hostname)
            })
        })
}

/// What to do about a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Leave,
    /// Its data are removed, then it goes itself.
    Delete,
    /// It no longer holds its data: whoever changed its policy wants to keep them.
    LetGo,
}

/// Decides about a volume.
pub fn decide(own: &Own<'_>, volume: &Volume) -> Step {
    let held = volume.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    if !is_own(own, volume) {
        Step::Leave
    } else if volume.spec.persistent_volume_reclaim_policy != "Delete" {
        if held { Step::LetGo } else { Step::Leave }
    } else if volume.status.phase == "Released" && (held || !volume.metadata.is_deleting()) {
        Step::Delete
    } else {
        Step::Leave
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OWN: Own<'static> = Own { provisioner: "rancher.io/local-path", node: "w1", hostname: "w1" };

    fn step(policy: &str, phase: &str, node: &str, metadata: Value) -> Step {
        let mut volume = json!({
            "metadata": metadata,
            "spec": {"persistentVolumeReclaimPolicy": policy, "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [node]}]}]}}},
            "status": {"phase": phase},
        });
        volume["metadata"]["annotations"] = json!({PROVISIONED_BY: "rancher.io/local-path"});
        decide(&OWN, &serde_json::from_value(volume).unwrap())
    }

    #[test]
    fn only_released_volumes_of_this_node_are_deleted() {
        let held = || json!({"finalizers": [FINALIZER]});
        let going = "2026-01-01T00:00:00Z";
        for (policy, phase, node, metadata, expected) in [
            ("Delete", "Released", "w1", held(), Step::Delete),
            ("Delete", "Released", "w1", json!({}), Step::Delete),
            ("Delete", "Released", "w1", json!({"deletionTimestamp": going}), Step::Leave),
            (
                "Delete",
                "Released",
                "w1",
                json!({"deletionTimestamp": going, "finalizers": [FINALIZER]}),
                Step::Delete,
            ),
            ("Delete", "Released", "w2", held(), Step::Leave),
            ("Delete", "Bound", "w1", held(), Step::Leave),
            ("Retain", "Released", "w1", held(), Step::LetGo),
            ("Retain", "Released", "w1", json!({}), Step::Leave),
        ] {
            assert_eq!(
                step(policy, phase, node, metadata.clone()),
                expected,
                "{policy} {phase} {node} {metadata}"
            );
        }
        let foreign: Volume = serde_json::from_value(json!({"status": {"phase": "Released"},
            "spec": {"persistentVolumeReclaimPolicy": "Delete"}}))
        .unwrap();
        assert_eq!(decide(&OWN, &foreign), Step::Leave);
    }
}
