//! Which claims wait for a provisioner.

use crate::objects::{Claim, StorageClass};

/// Names the provisioner that a claim waits for; the second name is the older one.
pub const PROVISIONER: [&str; 2] =
    ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// The node that the scheduler chose for the claim's first pod.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The class by which a claim asks this provisioner for a volume; none where it does not, or no longer.
pub fn class_of<'a>(
    provisioner: &str,
    claim: &Claim,
    class: Option<&'a StorageClass>,
) -> Option<&'a StorageClass> {
    if claim.metadata.is_deleting() || !claim.spec.volume_name.is_empty() {
        return None;
    }
    let annotations = &claim.metadata.annotations;
    let asked = PROVISIONER.iter().find_map(|name| annotations.get(*name));
    class.filter(|class| class.provisioner == provisioner && asked.is_some_and(|asked| asked == provisioner))
}

/// The node on which the claim's first pod will run, once that is known.
pub fn selected_node(claim: &Claim) -> Option<&str> {
    let node = claim.metadata.annotations.get(SELECTED_NODE);
    node.map(String::as_str).filter(|node| !node.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_claim_asks_whom_its_annotation_and_class_name() {
        let asks = |metadata: Value, volume: &str, provisioner: &str| {
            let claim: Claim =
                serde_json::from_value(json!({"metadata": metadata, "spec": {"volumeName": volume}}))
                    .unwrap();
            let class: StorageClass =
                serde_json::from_value(json!({"metadata": {"name": "c"}, "provisioner": provisioner}))
                    .unwrap();
            class_of("d.io", &claim, Some(&class)).is_some() && class_of("d.io", &claim, None).is_none()
        };
        let by = |name: &str, who: &str| json!({"annotations": {name: who}});
        assert!(asks(by(PROVISIONER[0], "d.io"), "", "d.io"));
        assert!(asks(by(PROVISIONER[1], "d.io"), "", "d.io"), "the older name counts");
        assert!(!asks(by(PROVISIONER[0], "d.io"), "v", "d.io"), "it has a volume");
        assert!(!asks(by(PROVISIONER[0], "other.io"), "", "d.io"));
        assert!(!asks(by(PROVISIONER[0], "d.io"), "", "other.io"));
        assert!(!asks(json!({}), "", "d.io"), "the binder has not asked yet");
        let mut going = by(PROVISIONER[0], "d.io");
        going["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(!asks(going, "", "d.io"));
    }
}
