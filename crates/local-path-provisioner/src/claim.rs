//! What to do about a claim: make its volume, or let that grow.

use std::path::Path;

use provisioning::objects::{Claim, StorageClass, Volume};
use serde_json::{Value, json};

use crate::directory;
use crate::volume::{self, Own};

/// On a claim: `local` or `hostPath`, how its volume is to be written down.
const VOLUME_TYPE: &str = "volumeType";
/// On a class: the same for claims that do not say.
const DEFAULT_VOLUME_TYPE: &str = "defaultVolumeType";

/// What to do about a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is another's matter, or has what it asks for.
    Leave,
    /// No volume can be made for it.
    Refuse(String),
    /// It gets this volume, with its data in a directory that is to be made.
    Make(Value),
    /// The volume that it is bound to is made larger.
    Grow,
}

/// Decides about a claim. `volume` is the one that it names.
pub fn decide(
    own: &Own<'_>,
    base: &Path,
    claim: &Claim,
    class: Option<&StorageClass>,
    volume: Option<&Volume>,
) -> Step {
    if claim.metadata.is_deleting() {
        return Step::Leave;
    }
    if !claim.spec.volume_name.is_empty() {
        return match volume {
            Some(volume) if volume::is_own(own, volume) && grows(claim, volume) => Step::Grow,
            _ => Step::Leave,
        };
    }
    let Some(class) = provisioning::class_of(own.provisioner, claim, class) else { return Step::Leave };
    match provisioning::selected_node(claim) {
        Some(node) if node == own.node => match refusal(claim) {
            Some(why) => Step::Refuse(why.to_owned()),
            None => Step::Make(made(own, base, claim, class)),
        },
        Some(_) => Step::Leave,
        // Every node's provisioner sees such a claim, and all say the same.
        None => Step::Refuse("configuration error, no node was specified".to_owned()),
    }
}

/// Tells whether a claim that is bound to the volume asks for more than was last given.
fn grows(claim: &Claim, volume: &Volume) -> bool {
    let bound = volume.spec.claim_ref.as_ref().is_some_and(|reference| reference.uid == claim.metadata.uid);
    let more = |has: Option<apimachinery::Quantity>| {
        claim.request().zip(has).is_some_and(|(request, has)| request > has)
    };
    bound && claim.status.phase == "Bound" && (more(volume.capacity()) || more(claim.capacity()))
}

fn refusal(claim: &Claim) -> Option<&'static str> {
    let one_node = |mode: &String| mode == "ReadWriteOnce" || mode == "ReadWriteOncePod";
    if claim.spec.selector.as_ref().is_some_and(|selector| !selector.is_null()) {
        Some("claim.Spec.Selector is not supported")
    } else if claim.spec.volume_mode == "Block" {
        Some("block volumes are not supported")
    } else if !claim.spec.access_modes.iter().all(one_node) {
        Some("NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes")
    } else {
        None
    }
}

fn made(own: &Own<'_>, base: &Path, claim: &Claim, class: &StorageClass) -> Value {
    let metadata = &claim.metadata;
    let name = format!("pvc-{}", metadata.uid);
    let path = directory::path(base, &name, &metadata.namespace, &metadata.name);
    let path = path.to_string_lossy();
    let kind = metadata.annotations.get(VOLUME_TYPE).or(class.metadata.annotations.get(DEFAULT_VOLUME_TYPE));
    let mut volume = provisioning::record(own.provisioner, &name, claim, class);
    volume["metadata"]["annotations"][volume::SELECTED_NODE] = own.node.into();
    volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": volume::HOSTNAME, "operator": "In", "values": [own.hostname]},
    ]}]}});
    match kind.map(|kind| kind.to_lowercase()).as_deref() {
        Some("local") => volume["spec"]["local"] = json!({"path": path}),
        _ => volume["spec"]["hostPath"] = json!({"path": path, "type": "DirectoryOrCreate"}),
    }
    volume
}

#[cfg(test)]
mod tests {
    use provisioning::{FINALIZER, PROVISIONED_BY, PROVISIONER, SELECTED_NODE};

    use super::*;

    const OWN: Own<'static> = Own { provisioner: "rancher.io/local-path", node: "w1", hostname: "w1-host" };

    fn claim(change: Value) -> Claim {
        let mut claim = json!({
            "metadata": {"name": "data", "namespace": "d", "uid": "u1", "annotations": {
                PROVISIONER[0]: "rancher.io/local-path", SELECTED_NODE: "w1"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "local-path",
                "resources": {"requests": {"storage": "1Gi"}}},
        });
        patch(&mut claim, &change);
        serde_json::from_value(claim).unwrap()
    }

    fn patch(value: &mut Value, change: &Value) {
        match change {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| patch(&mut value[name.as_str()], field));
            }
            other => *value = other.clone(),
        }
    }

    fn class() -> StorageClass {
        serde_json::from_value(
            json!({"metadata": {"name": "local-path"}, "provisioner": "rancher.io/local-path"}),
        )
        .unwrap()
    }

    fn step(change: Value) -> Step {
        decide(&OWN, Path::new("/opt/volumes"), &claim(change), Some(&class()), None)
    }

    #[test]
    fn a_volume_is_made_on_the_node_of_the_claims_pod() {
        let Step::Make(made) = step(json!({})) else { panic!("it is made") };
        assert_eq!(made["metadata"]["name"], "pvc-u1");
        assert_eq!(made["metadata"]["annotations"][PROVISIONED_BY], "rancher.io/local-path");
        assert_eq!(made["metadata"]["finalizers"], json!([FINALIZER]));
        let spec = &made["spec"];
        assert_eq!(
            spec["hostPath"],
            json!({"path": "/opt/volumes/pvc-u1_d_data", "type": "DirectoryOrCreate"})
        );
        assert_eq!(spec["claimRef"]["uid"], "u1");
        assert_eq!(spec["capacity"], json!({"storage": "1Gi"}));
        assert_eq!(spec["persistentVolumeReclaimPolicy"], "Delete");
        let volume: Volume = serde_json::from_value(made).unwrap();
        assert!(volume::is_own(&OWN, &volume));
        assert!(!volume::is_own(&Own { hostname: "w2-host", ..OWN }, &volume));
        let local = json!({"metadata": {"annotations": {VOLUME_TYPE: "local"}}});
        let Step::Make(made) = step(local) else { panic!("it is made") };
        assert_eq!(made["spec"]["local"], json!({"path": "/opt/volumes/pvc-u1_d_data"}));
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_is_anothers_left() {
        let refused = |change: Value, why: &str| assert_eq!(step(change), Step::Refuse(why.to_owned()));
        refused(
            json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
            "claim.Spec.Selector is not supported",
        );
        refused(json!({"spec": {"volumeMode": "Block"}}), "block volumes are not supported");
        refused(
            json!({"spec": {"accessModes": ["ReadWriteMany"]}}),
            "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes",
        );
        let mut lost = claim(json!({}));
        lost.metadata.annotations.remove(SELECTED_NODE);
        assert_eq!(
            decide(&OWN, Path::new("/opt"), &lost, Some(&class()), None),
            Step::Refuse("configuration error, no node was specified".to_owned())
        );
        for other in [
            json!({"metadata": {"annotations": {SELECTED_NODE: "w2"}}}),
            json!({"metadata": {"annotations": {PROVISIONER[0]: "other.io/x"}}}),
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            json!({"spec": {"volumeName": "v"}}),
        ] {
            assert_eq!(step(other.clone()), Step::Leave, "{other}");
        }
    }

    #[test]
    fn a_bound_claim_that_asks_for_more_gets_it() {
        let volume = |size: &str| -> Volume {
            let Step::Make(mut made) = step(json!({})) else { panic!("it is made") };
            made["spec"]["capacity"]["storage"] = size.into();
            serde_json::from_value(made).unwrap()
        };
        let check = |request: &str, volume_size: &str, has: &str, expected: Step| {
            let claim = claim(json!({
                "spec": {"volumeName": "pvc-u1", "resources": {"requests": {"storage": request}}},
                "status": {"phase": "Bound", "capacity": {"storage": has}}}));
            let volume = volume(volume_size);
            assert_eq!(decide(&OWN, Path::new("/opt"), &claim, None, Some(&volume)), expected);
        };
        check("2Gi", "1Gi", "1Gi", Step::Grow);
        // Begun before, and not finished.
        check("2Gi", "2Gi", "1Gi", Step::Grow);
        check("2Gi", "2Gi", "2Gi", Step::Leave);
        check("1Gi", "1Gi", "1Gi", Step::Leave);
    }
}
