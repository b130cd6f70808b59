//! What to do about a claim that waits for the driver, and about a volume whose claim has gone.

use apimachinery::quantity::Format;
use csi::v1::{CapacityRange, CreateVolumeRequest, TopologyRequirement, Volume as Made};
use csi::{AccessType, Driver, access_mode, capability};
use provisioning::made_by;
use provisioning::objects::{Claim, SecretRef, StorageClass, Volume};
use serde_json::{Value, json};

use crate::parameters::{Parameters, Step as SecretStep};
use crate::topology;

/// Name and namespace of the secret with which a volume is deleted.
const DELETION_SECRET: [&str; 2] = [
    "volume.kubernetes.io/provisioner-deletion-secret-name",
    "volume.kubernetes.io/provisioner-deletion-secret-namespace",
];

/// What to do about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is another's matter, or waits.
    Leave,
    /// No volume can be made for it.
    Refuse(String),
    /// A volume is made for it, for this node if one was chosen.
    Make(Option<String>),
}

/// Decides about a claim. `own_node` is the one node whose volumes are seen to, if not all are.
pub fn decide(driver: &str, own_node: Option<&str>, claim: &Claim, class: Option<&StorageClass>) -> Step {
    let Some(class) = provisioning::class_of(driver, claim, class) else { return Step::Leave };
    let chosen = provisioning::selected_node(claim);
    if chosen.is_none() && class.volume_binding_mode == "WaitForFirstConsumer" {
        return Step::Leave;
    }
    match (own_node, chosen) {
        (Some(own), Some(chosen)) if own != chosen => return Step::Leave,
        // One of many cannot tell that it is the one who should.
        (Some(_), None) => {
            let why =
                "the driver makes volumes on the pod's node: its class must wait for the first consumer";
            return Step::Refuse(why.to_owned());
        }
        _ => {}
    }
    if claim.spec.selector.as_ref().is_some_and(|selector| !selector.is_null()) {
        return Step::Refuse("claim Selector is not supported".to_owned());
    }
    if claim.spec.data_source.as_ref().is_some_and(|source| !source.is_null()) {
        return Step::Refuse("volumes are not made of snapshots or other volumes".to_owned());
    }
    Step::Make(chosen.map(str::to_owned))
}

/// The name of the volume for a claim.
pub fn name(prefix: &str, claim: &Claim) -> String {
    format!("{prefix}-{}", claim.metadata.uid)
}

/// How a volume is to be made.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The driver's name.
    pub driver: &'a str,
    /// Whether it tells one pod that writes from many.
    pub writers: Driver,
    /// The claim.
    pub claim: &'a Claim,
    /// Its class.
    pub class: &'a StorageClass,
    /// What the class says.
    pub parameters: &'a Parameters,
    /// The file system where the class names none.
    pub default_fs_type: &'a str,
    /// The volume's name.
    pub name: &'a str,
}

impl Wanted<'_> {
    fn is_block(&self) -> bool {
        self.claim.spec.volume_mode == "Block"
    }

    fn fs_type(&self) -> &str {
        match (self.is_block(), self.parameters.fs_type.as_str()) {
            (true, _) => "",
            (false, "") => self.default_fs_type,
            (false, fs_type) => fs_type,
        }
    }

    /// Asks the driver.
    pub fn request(&self, places: Option<TopologyRequirement>, tells_names: bool) -> CreateVolumeRequest {
        let kind = match self.is_block() {
            true => AccessType::Block,
            false => AccessType::Mount {
                fs_type: self.fs_type().to_owned(),
                flags: self.class.mount_options.clone(),
                group: String::new(),
            },
        };
        let modes = self.claim.spec.access_modes.iter();
        let capabilities = modes.map(|mode| capability(&kind, access_mode(mode, self.writers))).collect();
        let mut parameters = self.parameters.driver.clone();
        if tells_names {
            let metadata = &self.claim.metadata;
            for (key, value) in [
                ("pvc/name", &*metadata.name),
                ("pvc/namespace", &*metadata.namespace),
                ("pv/name", self.name),
            ] {
                parameters.insert(format!("csi.storage.k8s.io/{key}"), value.to_owned());
            }
        }
        let required_bytes = self.claim.request().map_or(0, |request| request.value());
        CreateVolumeRequest {
            name: self.name.to_owned(),
            capacity_range: Some(CapacityRange { required_bytes, limit_bytes: 0 }),
            volume_capabilities: capabilities,
            parameters,
            accessibility_requirements: places,
            ..CreateVolumeRequest::default()
        }
    }

    /// Writes down what the driver made.
    pub fn volume(&self, made: &Made) -> Value {
        let mut volume = provisioning::record(self.driver, self.name, self.claim, self.class);
        let annotations = &mut volume["metadata"]["annotations"];
        if let Some(SecretRef { namespace, name }) = self.parameters.secrets.get(&SecretStep::Provisioner) {
            annotations[DELETION_SECRET[0]] = name.as_str().into();
            annotations[DELETION_SECRET[1]] = namespace.as_str().into();
        }
        if made.capacity_bytes != 0 {
            let made = apimachinery::Quantity::from_value(made.capacity_bytes, Format::BinarySi);
            volume["spec"]["capacity"]["storage"] = made.to_string().into();
        }
        let mut source = json!({
            "driver": self.driver,
            "volumeHandle": made.volume_id,
            "volumeAttributes": made.volume_context,
        });
        if !self.fs_type().is_empty() {
            source["fsType"] = self.fs_type().into();
        }
        for (step, field) in [
            (SecretStep::ControllerPublish, "controllerPublishSecretRef"),
            (SecretStep::ControllerExpand, "controllerExpandSecretRef"),
            (SecretStep::NodeStage, "nodeStageSecretRef"),
            (SecretStep::NodePublish, "nodePublishSecretRef"),
            (SecretStep::NodeExpand, "nodeExpandSecretRef"),
        ] {
            if let Some(SecretRef { namespace, name }) = self.parameters.secrets.get(&step) {
                source[field] = json!({"namespace": namespace, "name": name});
            }
        }
        volume["spec"]["csi"] = source;
        volume["spec"]["nodeAffinity"] = topology::node_affinity(&made.accessible_topology);
        volume
    }
}

/// What to do about a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reclaim {
    /// Nothing.
    Leave,
    /// Its data are removed, then it goes itself.
    Delete {
        /// The driver's name for it.
        handle: String,
        /// The secret for that.
        secret: Option<SecretRef>,
    },
    /// It is still attached to this node.
    Wait(String),
    /// It no longer holds its data: whoever changed its policy wants to keep them.
    LetGo,
}

/// Decides about a volume. `attached_to` is a node that it is attached to.
pub fn reclaim(driver: &str, volume: &Volume, attached_to: Option<&str>) -> Reclaim {
    let annotations = &volume.metadata.annotations;
    let Some(source) = volume.of(driver).filter(|_| made_by(driver, volume)) else { return Reclaim::Leave };
    match provisioning::reclaim(volume) {
        provisioning::Reclaim::Leave => return Reclaim::Leave,
        provisioning::Reclaim::LetGo => return Reclaim::LetGo,
        provisioning::Reclaim::Delete => {}
    }
    if let Some(node) = attached_to {
        return Reclaim::Wait(node.to_owned());
    }
    let secret = DELETION_SECRET.map(|name| annotations.get(name).cloned());
    let secret = match secret {
        [Some(name), Some(namespace)] => Some(SecretRef { namespace, name }),
        _ => None,
    };
    Reclaim::Delete { handle: source.volume_handle.clone(), secret }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use csi::v1::Topology;
    use provisioning::{FINALIZER, PROVISIONED_BY, PROVISIONER, SELECTED_NODE};

    use super::*;

    fn claim(more: Value) -> Claim {
        let mut claim = json!({
            "metadata": {"name": "data", "namespace": "web", "uid": "u1", "resourceVersion": "7",
                "annotations": {PROVISIONER[0]: "d.io", SELECTED_NODE: "w1"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
                "resources": {"requests": {"storage": "1Gi"}}},
        });
        for (pointer, value) in more.as_object().into_iter().flatten() {
            match pointer.rsplit_once('/') {
                Some((parent, field)) => claim.pointer_mut(parent).unwrap()[field] = value.clone(),
                None => unreachable!("pointers begin with a slash"),
            }
        }
        serde_json::from_value(claim).unwrap()
    }

    fn class(mode: &str) -> StorageClass {
        serde_json::from_value(json!({"metadata": {"name": "fast"}, "provisioner": "d.io",
            "volumeBindingMode": mode, "mountOptions": ["noatime"], "parameters": {"pool": "a"}}))
        .unwrap()
    }

    #[test]
    fn a_volume_is_made_for_claims_of_the_driver_that_have_their_node() {
        let later = class("WaitForFirstConsumer");
        let check = |more: Value, own: Option<&str>, class: &StorageClass, expected: Step| {
            assert_eq!(decide("d.io", own, &claim(more.clone()), Some(class)), expected, "{more} {own:?}");
        };
        let made = || Step::Make(Some("w1".into()));
        check(json!({}), None, &later, made());
        check(json!({}), Some("w1"), &later, made());
        check(json!({}), Some("w2"), &later, Step::Leave);
        check(json!({"/metadata/annotations": {PROVISIONER[1]: "d.io"}}), None, &later, Step::Leave);
        check(
            json!({"/metadata/annotations": {PROVISIONER[1]: "d.io"}}),
            None,
            &class("Immediate"),
            Step::Make(None),
        );
        check(json!({"/metadata/annotations": {PROVISIONER[0]: "other"}}), None, &later, Step::Leave);
        check(json!({"/spec/volumeName": "v"}), None, &later, Step::Leave);
        check(json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z"}), None, &later, Step::Leave);
        let refused = |more: Value, class: &StorageClass, own: Option<&str>| {
            matches!(decide("d.io", own, &claim(more), Some(class)), Step::Refuse(_))
        };
        assert!(refused(json!({"/spec/selector": {}}), &later, None));
        assert!(refused(json!({"/spec/dataSource": {"kind": "VolumeSnapshot"}}), &later, None));
        let nowhere = json!({"/metadata/annotations": {PROVISIONER[0]: "d.io"}});
        assert!(refused(nowhere, &class("Immediate"), Some("w1")));
        assert_eq!(decide("d.io", None, &claim(json!({})), None), Step::Leave);
    }

    #[test]
    fn what_was_made_is_written_down_for_the_claim() {
        let (claim, class) = (claim(json!({})), class(""));
        let secret = SecretRef { namespace: "n".into(), name: "s".into() };
        let parameters = Parameters {
            driver: BTreeMap::from([("pool".into(), "a".into())]),
            fs_type: "xfs".into(),
            secrets: BTreeMap::from([
                (SecretStep::Provisioner, secret.clone()),
                (SecretStep::NodeStage, secret),
            ]),
        };
        let name = name("pvc", &claim);
        let wanted = Wanted {
            driver: "d.io",
            writers: Driver::CountsWriters,
            claim: &claim,
            class: &class,
            parameters: &parameters,
            default_fs_type: "ext4",
            name: &name,
        };
        let request = wanted.request(None, true);
        assert_eq!(request.name, "pvc-u1");
        assert_eq!(request.capacity_range.unwrap().required_bytes, 1 << 30);
        assert_eq!(request.parameters["csi.storage.k8s.io/pvc/namespace"], "web");
        assert_eq!(request.parameters["pool"], "a");
        assert_eq!(request.volume_capabilities.len(), 1);
        let segments = BTreeMap::from([("host".to_owned(), "w1".to_owned())]);
        let made = Made {
            capacity_bytes: 2 << 30,
            volume_id: "h".into(),
            volume_context: BTreeMap::from([("x".into(), "y".into())]),
            accessible_topology: vec![Topology { segments }],
            ..Made::default()
        };
        let volume = wanted.volume(&made);
        assert_eq!(volume["spec"]["capacity"]["storage"], "2Gi");
        assert_eq!(
            volume["spec"]["csi"],
            json!({"driver": "d.io", "volumeHandle": "h", "fsType": "xfs",
            "volumeAttributes": {"x": "y"}, "nodeStageSecretRef": {"namespace": "n", "name": "s"}})
        );
        assert_eq!(volume["spec"]["claimRef"]["uid"], "u1");
        assert_eq!(volume["metadata"]["finalizers"], json!([FINALIZER]));
        assert_eq!(volume["metadata"]["annotations"][DELETION_SECRET[1]], "n");
        let volume: Volume = serde_json::from_value(volume).unwrap();
        assert_eq!(volume.of("d.io").unwrap().volume_handle, "h");
        assert!(volume.spec.node_affinity.is_some());
    }

    #[test]
    fn data_go_with_released_volumes_that_are_nowhere_attached() {
        let volume = |policy: &str, phase: &str, by: &str, more: Value| -> Volume {
            let mut metadata =
                json!({"name": "v", "annotations": {PROVISIONED_BY: by}, "finalizers": [FINALIZER]});
            more.as_object().into_iter().flatten().for_each(|(key, value)| metadata[key] = value.clone());
            serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}, "spec": {
                "persistentVolumeReclaimPolicy": policy, "csi": {"driver": "d.io", "volumeHandle": "h"}}}))
            .unwrap()
        };
        let delete = || Reclaim::Delete { handle: "h".into(), secret: None };
        let going = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let gone = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": []});
        for (policy, phase, by, more, attached, expected) in [
            ("Delete", "Released", "d.io", json!({}), None, delete()),
            ("Delete", "Released", "d.io", going, None, delete()),
            ("Delete", "Released", "d.io", gone, None, Reclaim::Leave),
            ("Delete", "Released", "d.io", json!({}), Some("w1"), Reclaim::Wait("w1".into())),
            ("Delete", "Bound", "d.io", json!({}), None, Reclaim::Leave),
            ("Delete", "Released", "other", json!({}), None, Reclaim::Leave),
            ("Retain", "Released", "d.io", json!({}), None, Reclaim::LetGo),
        ] {
            let volume = volume(policy, phase, by, more.clone());
            assert_eq!(reclaim("d.io", &volume, attached), expected, "{policy} {phase} {by} {more}");
        }
    }
}
