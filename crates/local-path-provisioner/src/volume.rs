//! What to do about a volume whose claim has gone, and which volumes are whose.

use provisioning::objects::Volume;
use provisioning::{Reclaim, made_by};

/// Tells on which node a volume is, for people.
pub const SELECTED_NODE: &str = "local.path.provisioner/selected-node";
/// The label by which a volume says on which node it is.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

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
    let required = volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let mut terms = required.into_iter().flat_map(|required| &required.node_selector_terms);
    made_by(own.provisioner, volume)
        && terms.any(|term| {
            term.match_expressions.iter().flatten().any(|one| {
                let values = one.values.as_deref().unwrap_or_default();
                one.key == HOSTNAME
                    && one.operator == "In"
                    && values.iter().any(|value| value == own.hostname)
            })
        })
}

/// Decides about a volume.
pub fn decide(own: &Own<'_>, volume: &Volume) -> Reclaim {
    if is_own(own, volume) { provisioning::reclaim(volume) } else { Reclaim::Leave }
}

#[cfg(test)]
mod tests {
    use provisioning::PROVISIONED_BY;
    use serde_json::json;

    use super::*;

    const OWN: Own<'static> = Own { provisioner: "rancher.io/local-path", node: "w1", hostname: "w1" };

    #[test]
    fn only_volumes_of_this_node_are_its_matter() {
        let step = |provisioner: &str, node: &str| {
            let terms =
                json!([{"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [node]}]}]);
            let volume = json!({
                "metadata": {"annotations": {PROVISIONED_BY: provisioner}},
                "spec": {"persistentVolumeReclaimPolicy": "Delete",
                    "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}},
                "status": {"phase": "Released"},
            });
            decide(&OWN, &serde_json::from_value(volume).unwrap())
        };
        assert_eq!(step("rancher.io/local-path", "w1"), Reclaim::Delete);
        assert_eq!(step("rancher.io/local-path", "w2"), Reclaim::Leave);
        assert_eq!(step("other.io/x", "w1"), Reclaim::Leave);
        let foreign: Volume = serde_json::from_value(json!({"status": {"phase": "Released"},
            "spec": {"persistentVolumeReclaimPolicy": "Delete"}}))
        .unwrap();
        assert_eq!(decide(&OWN, &foreign), Reclaim::Leave);
    }
}
