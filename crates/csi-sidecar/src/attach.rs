//! What to do about a volume's attachment to a node.

use csi::v1::{VolumeCapability, volume_capability::access_mode::Mode};
use csi::{AccessType, Driver, access_mode, capability};
use provisioning::objects::Volume;

use crate::objects::{Attachment, CsiNode};

/// The driver's name for the node, kept for the time when the node is gone.
pub const NODE_ID: &str = "csi.alpha.kubernetes.io/node-id";

/// What to do about an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is another's matter, or as it should be.
    Leave,
    /// It cannot be attached.
    Refuse(String),
    /// It is made so.
    Attach {
        /// The driver's name for the node.
        node_id: String,
    },
    /// It is undone.
    Detach {
        /// The driver's name for the volume; none where nobody knows any more.
        handle: Option<String>,
        /// The driver's name for the node.
        node_id: String,
    },
}

/// The finalizer of a driver's attacher.
pub fn finalizer(driver: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '-' };
    format!("external-attacher/{}", driver.chars().map(plain).collect::<String>())
}

/// Decides about an attachment. `volume` and `node` are those that it names.
pub fn decide(
    driver: &str,
    own_node: Option<&str>,
    attachment: &Attachment,
    volume: Option<&Volume>,
    node: Option<&CsiNode>,
) -> Step {
    let spec = &attachment.spec;
    if spec.attacher != driver || own_node.is_some_and(|own| own != spec.node_name) {
        return Step::Leave;
    }
    let metadata = &attachment.metadata;
    let known = node.and_then(|node| node.driver(driver)).map(|driver| driver.node_id.clone());
    let source = volume.and_then(|volume| volume.of(driver));
    if metadata.is_deleting() {
        if !metadata.finalizers.contains(&finalizer(driver)) {
            return Step::Leave;
        }
        let node_id = metadata.annotations.get(NODE_ID).cloned().or(known).unwrap_or_default();
        return Step::Detach { handle: source.map(|source| source.volume_handle.clone()), node_id };
    }
    if attachment.status.attached {
        return Step::Leave;
    }
    let name = &spec.source.persistent_volume_name;
    match (volume, source, known) {
        (None, _, _) => Step::Refuse(format!("persistentvolume \"{name}\" not found")),
        (Some(_), None, _) => Step::Refuse(format!("could not get CSI source of PV {name}")),
        (Some(volume), _, _) if volume.metadata.is_deleting() => {
            Step::Refuse(format!("PersistentVolume {name:?} is marked for deletion"))
        }
        (_, Some(_), None) => {
            Step::Refuse(format!("CSINode {} does not contain driver {driver}", spec.node_name))
        }
        (_, Some(_), Some(node_id)) => Step::Attach { node_id },
    }
}

/// How a volume is attached: in the widest of its ways.
pub fn volume_capability(volume: &Volume, driver: Driver) -> VolumeCapability {
    let modes = &volume.spec.access_modes;
    let has = |mode: &str| modes.iter().any(|one| one == mode);
    let mode = if has("ReadWriteMany") {
        Mode::MultiNodeMultiWriter
    } else if has("ReadOnlyMany") && has("ReadWriteOnce") {
        Mode::MultiNodeSingleWriter
    } else {
        modes.first().map_or(Mode::Unknown, |mode| access_mode(mode, driver))
    };
    let source = volume.spec.csi.clone().unwrap_or_default();
    let kind = match volume.spec.volume_mode.as_str() {
        "Block" => AccessType::Block,
        _ => AccessType::Mount {
            fs_type: source.fs_type,
            flags: volume.spec.mount_options.clone(),
            group: String::new(),
        },
    };
    capability(&kind, mode)
}

/// Tells whether a volume is let go: it is to be deleted, and nothing of it is attached any more.
pub fn lets_go(driver: &str, volume: &Volume, is_attached: bool) -> bool {
    volume.metadata.is_deleting() && !is_attached && volume.metadata.finalizers.contains(&finalizer(driver))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn attachment(metadata: Value, attached: bool) -> Attachment {
        serde_json::from_value(json!({"metadata": metadata, "status": {"attached": attached},
            "spec": {"attacher": "d.io", "nodeName": "w1", "source": {"persistentVolumeName": "pv"}}}))
        .unwrap()
    }

    fn volume(metadata: Value) -> Volume {
        serde_json::from_value(json!({"metadata": metadata,
            "spec": {"csi": {"driver": "d.io", "volumeHandle": "h"}}}))
        .unwrap()
    }

    fn node() -> CsiNode {
        serde_json::from_value(json!({"spec": {"drivers": [{"name": "d.io", "nodeID": "node-1"}]}})).unwrap()
    }

    #[test]
    fn what_is_wanted_is_attached_and_what_is_deleted_is_detached() {
        let fresh = attachment(json!({"name": "a"}), false);
        let check =
            |attachment: &Attachment, volume: Option<&Volume>, node: Option<&CsiNode>, expected: Step| {
                assert_eq!(decide("d.io", None, attachment, volume, node), expected);
            };
        let (pv, nodes) = (volume(json!({})), node());
        let attach = || Step::Attach { node_id: "node-1".into() };
        check(&fresh, Some(&pv), Some(&nodes), attach());
        check(&attachment(json!({}), true), Some(&pv), Some(&nodes), Step::Leave);
        assert_eq!(decide("other", None, &fresh, Some(&pv), Some(&nodes)), Step::Leave);
        assert_eq!(decide("d.io", Some("w2"), &fresh, Some(&pv), Some(&nodes)), Step::Leave);
        assert_eq!(decide("d.io", Some("w1"), &fresh, Some(&pv), Some(&nodes)), attach());
        for (pv, nodes) in [
            (None, Some(node())),
            (Some(volume(json!({}))), None),
            (Some(volume(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))), Some(node())),
        ] {
            let step = decide("d.io", None, &fresh, pv.as_ref(), nodes.as_ref());
            assert!(matches!(step, Step::Refuse(_)), "{step:?}");
        }

        let finalizers = [finalizer("d.io")];
        assert_eq!(finalizers[0], "external-attacher/d-io");
        let going = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers,
            "annotations": {NODE_ID: "node-0"}});
        let detach =
            |handle: Option<&str>| Step::Detach { handle: handle.map(Into::into), node_id: "node-0".into() };
        check(&attachment(going.clone(), true), Some(&pv), None, detach(Some("h")));
        check(&attachment(going, true), None, None, detach(None));
        let let_go = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["other"]});
        check(&attachment(let_go, true), Some(&pv), None, Step::Leave);
    }

    #[test]
    fn a_volume_is_attached_in_the_widest_of_its_ways() {
        let mode = |modes: &[&str]| {
            let mut volume = volume(json!({}));
            volume.spec.access_modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
            let mode = volume_capability(&volume, Driver::Plain).access_mode.unwrap().mode;
            Mode::try_from(mode).unwrap()
        };
        assert_eq!(mode(&["ReadWriteOnce"]), Mode::SingleNodeWriter);
        assert_eq!(mode(&["ReadWriteOnce", "ReadWriteMany"]), Mode::MultiNodeMultiWriter);
        assert_eq!(mode(&["ReadWriteOnce", "ReadOnlyMany"]), Mode::MultiNodeSingleWriter);
        assert_eq!(mode(&["ReadOnlyMany"]), Mode::MultiNodeReaderOnly);
    }

    #[test]
    fn a_volume_is_held_while_it_is_attached() {
        let going =
            volume(json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [finalizer("d.io")]}));
        assert!(lets_go("d.io", &going, false));
        assert!(!lets_go("d.io", &going, true));
        assert!(!lets_go("d.io", &volume(json!({"finalizers": [finalizer("d.io")]})), false));
    }
}
