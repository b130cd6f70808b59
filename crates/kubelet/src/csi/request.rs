//! What is asked of a driver for a volume: decided from the pod, the volume, and what the CSIDriver object says.

use std::collections::BTreeMap;

use csi::{AccessType, v1};
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, CSIVolumeSource, PersistentVolume, Pod, SecretReference,
};
use k8s_openapi::api::storage::v1::{CSIDriver, TokenRequest};
use podrules::csi::{attachment_name, ephemeral_handle};
use volumes::ChangePolicy;

use super::drivers::Abilities;
use super::layout::{Lifecycle, Record, VolumeId};
use crate::pod;

/// A secret by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl SecretName {
    fn of(reference: Option<SecretReference>) -> Option<Self> {
        let reference = reference?;
        Some(Self { namespace: reference.namespace?, name: reference.name? })
    }
}

/// A volume, wherever it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The PersistentVolume, or the pod's volume.
    pub name: String,
    /// Which it is.
    pub id: VolumeId,
    /// How long it lives.
    pub lifecycle: Lifecycle,
    /// The file system; empty leaves it to the driver.
    pub fs_type: String,
    /// Options of the mount.
    pub mount_flags: Vec<String>,
    /// How it is mounted, the first of `accessModes`.
    pub access_mode: String,
    /// Whether it may be written on one node at a time.
    pub of_one_node: bool,
    /// Whether it may only be read.
    pub read_only: bool,
    /// What the driver wants to be told again.
    pub attributes: BTreeMap<String, String>,
    /// The secret for staging.
    pub stage_secret: Option<SecretName>,
    /// The secret for publishing.
    pub publish_secret: Option<SecretName>,
    /// The secret for expanding.
    pub expand_secret: Option<SecretName>,
}

impl Spec {
    /// Reads a PersistentVolume of a driver.
    pub fn persistent(
        volume: &PersistentVolume,
        source: &CSIPersistentVolumeSource,
        read_only: bool,
    ) -> Self {
        let spec = volume.spec.clone().unwrap_or_default();
        let modes = spec.access_modes.unwrap_or_default();
        Self {
            name: volume.metadata.name.clone().unwrap_or_default(),
            id: VolumeId { driver: source.driver.clone(), handle: source.volume_handle.clone() },
            lifecycle: Lifecycle::Persistent,
            fs_type: source.fs_type.clone().unwrap_or_default(),
            mount_flags: spec.mount_options.unwrap_or_default(),
            of_one_node: modes.iter().any(|mode| mode == "ReadWriteOnce" || mode == "ReadWriteOncePod"),
            access_mode: modes.into_iter().next().unwrap_or_else(|| "ReadWriteOnce".to_owned()),
            read_only: read_only || source.read_only.unwrap_or_default(),
            attributes: source.volume_attributes.clone().unwrap_or_default(),
            stage_secret: SecretName::of(source.node_stage_secret_ref.clone()),
            publish_secret: SecretName::of(source.node_publish_secret_ref.clone()),
            expand_secret: SecretName::of(source.node_expand_secret_ref.clone()),
        }
    }

    /// Reads a volume that is written in a pod.
    pub fn inline(pod: &Pod, name: &str, source: &CSIVolumeSource) -> Self {
        let secret = source.node_publish_secret_ref.as_ref();
        let namespace = pod::namespace(pod).to_owned();
        Self {
            name: name.to_owned(),
            id: VolumeId { driver: source.driver.clone(), handle: ephemeral_handle(pod::uid(pod), name) },
            lifecycle: Lifecycle::Ephemeral,
            fs_type: source.fs_type.clone().unwrap_or_default(),
            mount_flags: Vec::new(),
            access_mode: "ReadWriteOnce".to_owned(),
            of_one_node: true,
            read_only: source.read_only.unwrap_or_default(),
            attributes: source.volume_attributes.clone().unwrap_or_default(),
            stage_secret: None,
            publish_secret: secret.map(|secret| SecretName { namespace, name: secret.name.clone() }),
            expand_secret: None,
        }
    }

    /// What is written down beside the mount.
    pub fn record(&self, node: &str, terms: &Terms) -> Record {
        let VolumeId { driver, handle } = &self.id;
        let attached = terms.attach && self.lifecycle == Lifecycle::Persistent;
        Record {
            spec_name: self.name.clone(),
            volume_handle: handle.clone(),
            driver_name: driver.clone(),
            node_name: node.to_owned(),
            attachment: if attached { attachment_name(handle, driver, node) } else { String::new() },
            lifecycle: self.lifecycle,
        }
    }
}

/// Whether the kubelet gives volumes to groups (`fsGroupPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupPolicy {
    /// Never.
    Never,
    /// Always.
    Always,
    /// Where the volume is a file system that one node writes.
    OneNodeWithFsType,
}

/// On what terms a driver works, as its CSIDriver object says.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Volumes are attached to nodes first.
    pub attach: bool,
    /// The driver is told whose the volume is.
    pub pod_info: bool,
    /// Volumes are published again and again, to follow what changes.
    pub republish: bool,
    /// Who gives volumes to groups.
    pub groups: GroupPolicy,
    /// Volumes can be written in pods.
    pub ephemeral: bool,
    /// Tokens of the pod's account that the driver gets.
    pub tokens: Vec<TokenRequest>,
    /// Whether it gets them as secrets.
    pub tokens_in_secrets: bool,
}

impl Terms {
    /// Reads them; a driver without an object has upstream's defaults.
    pub fn of(driver: Option<&CSIDriver>) -> Self {
        let spec = driver.map(|driver| driver.spec.clone()).unwrap_or_default();
        let modes = spec.volume_lifecycle_modes.unwrap_or_default();
        Self {
            attach: spec.attach_required.unwrap_or(true),
            pod_info: spec.pod_info_on_mount.unwrap_or_default(),
            republish: spec.requires_republish.unwrap_or_default(),
            groups: match spec.fs_group_policy.as_deref() {
                Some("None") => GroupPolicy::Never,
                Some("File") => GroupPolicy::Always,
                _ => GroupPolicy::OneNodeWithFsType,
            },
            ephemeral: modes.iter().any(|mode| mode == "Ephemeral"),
            tokens: spec.token_requests.unwrap_or_default(),
            tokens_in_secrets: spec.service_account_token_in_secrets.unwrap_or_default(),
        }
    }

    /// Tells whether the kubelet gives the volume to the pod's group.
    pub fn gives_to_group(&self, spec: &Spec) -> bool {
        match self.groups {
            GroupPolicy::Never => false,
            GroupPolicy::Always => true,
            GroupPolicy::OneNodeWithFsType => {
                spec.lifecycle == Lifecycle::Persistent && !spec.fs_type.is_empty() && spec.of_one_node
            }
        }
    }
}

/// Whose a volume is, for drivers that want to know.
pub fn pod_info(pod: &Pod, lifecycle: Lifecycle) -> BTreeMap<String, String> {
    let account = pod::spec(pod).service_account_name.clone().unwrap_or_default();
    [
        ("pod.name", pod::name(pod).to_owned()),
        ("pod.namespace", pod::namespace(pod).to_owned()),
        ("pod.uid", pod::uid(pod).to_owned()),
        ("serviceAccount.name", account),
        ("ephemeral", (lifecycle == Lifecycle::Ephemeral).to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("csi.storage.k8s.io/{name}"), value))
    .collect()
}

/// One volume for one pod, with all that its driver is told.
#[derive(Debug, Clone)]
pub struct Mount {
    /// The volume.
    pub spec: Spec,
    /// The driver's terms.
    pub terms: Terms,
    /// The pod.
    pub pod_uid: String,
    /// What attaching gave.
    pub publish_context: BTreeMap<String, String>,
    /// What the driver is told beyond the volume's own attributes.
    pub more_context: BTreeMap<String, String>,
    /// The secret for staging.
    pub stage_secrets: BTreeMap<String, String>,
    /// The secret for publishing.
    pub publish_secrets: BTreeMap<String, String>,
    /// The pod's group.
    pub group: Option<(u32, ChangePolicy)>,
}

impl Mount {
    /// How the volume is to be mounted.
    pub fn capability(&self, abilities: Abilities) -> v1::VolumeCapability {
        let group = self.group.filter(|_| abilities.sets_group).map(|(group, _)| group.to_string());
        let kind = AccessType::Mount {
            fs_type: self.spec.fs_type.clone(),
            flags: self.spec.mount_flags.clone(),
            group: group.unwrap_or_default(),
        };
        let driver = if abilities.counts_writers { csi::Driver::CountsWriters } else { csi::Driver::Plain };
        csi::capability(&kind, csi::access_mode(&self.spec.access_mode, driver))
    }

    /// The group that the kubelet itself gives the volume to, and when it looks at every file.
    pub fn own_group(&self, abilities: Abilities) -> Option<(u32, ChangePolicy)> {
        let here = !abilities.sets_group && !self.spec.read_only && self.terms.gives_to_group(&self.spec);
        self.group.filter(|_| here)
    }

    /// What the driver is told of the volume when it is published.
    pub fn context(&self) -> BTreeMap<String, String> {
        let mut context = self.spec.attributes.clone();
        context.extend(self.more_context.clone());
        context
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn persistent(more: serde_json::Value) -> Spec {
        let mut source = json!({"driver": "d.io", "volumeHandle": "h", "fsType": "ext4",
            "volumeAttributes": {"a": "b"}, "nodeStageSecretRef": {"namespace": "s", "name": "stage"}});
        for (key, value) in more.as_object().into_iter().flatten() {
            source[key] = value.clone();
        }
        let volume: PersistentVolume = serde_json::from_value(json!({"metadata": {"name": "pv"},
            "spec": {"accessModes": ["ReadWriteOnce"], "mountOptions": ["noatime"], "csi": source}}))
        .unwrap();
        let source = volume.spec.clone().unwrap().csi.unwrap();
        Spec::persistent(&volume, &source, false)
    }

    fn terms(spec: serde_json::Value) -> Terms {
        let driver = serde_json::from_value(json!({"metadata": {"name": "d.io"}, "spec": spec})).unwrap();
        Terms::of(Some(&driver))
    }

    #[test]
    fn a_driver_without_an_object_attaches_and_tells_nothing() {
        let terms = Terms::of(None);
        assert!(terms.attach && !terms.pod_info && !terms.ephemeral && !terms.republish);
        assert_eq!(terms.groups, GroupPolicy::OneNodeWithFsType);
    }

    #[test]
    fn groups_get_what_the_policy_gives_them() {
        let with_type = persistent(json!({}));
        let without = persistent(json!({"fsType": ""}));
        let inline = Spec { lifecycle: Lifecycle::Ephemeral, ..with_type.clone() };
        let many = Spec { of_one_node: false, ..with_type.clone() };
        for (policy, expected) in [
            ("None", [false, false, false, false]),
            ("File", [true, true, true, true]),
            ("ReadWriteOnceWithFSType", [true, false, false, false]),
        ] {
            let terms = terms(json!({"fsGroupPolicy": policy}));
            let given = [&with_type, &without, &inline, &many].map(|spec| terms.gives_to_group(spec));
            assert_eq!(given, expected, "{policy}");
        }
    }

    #[test]
    fn only_volumes_that_outlive_pods_are_attached() {
        let spec = persistent(json!({}));
        assert_eq!(spec.record("n", &terms(json!({}))).attachment, attachment_name("h", "d.io", "n"));
        assert_eq!(spec.record("n", &terms(json!({"attachRequired": false}))).attachment, "");
        let inline = Spec { lifecycle: Lifecycle::Ephemeral, ..spec };
        assert_eq!(inline.record("n", &terms(json!({}))).attachment, "");
    }

    #[test]
    fn a_driver_is_told_what_it_asked_for() {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n", "uid": "u"},
            "spec": {"containers": [], "serviceAccountName": "acc"}}))
            .unwrap();
        let mount = Mount {
            spec: persistent(json!({})),
            terms: terms(json!({"fsGroupPolicy": "File"})),
            pod_uid: "u".into(),
            publish_context: BTreeMap::new(),
            more_context: pod_info(&pod, Lifecycle::Persistent),
            stage_secrets: BTreeMap::new(),
            publish_secrets: BTreeMap::new(),
            group: Some((7, ChangePolicy::Always)),
        };
        let context = mount.context();
        assert_eq!(context["a"], "b");
        assert_eq!(context["csi.storage.k8s.io/pod.name"], "web");
        assert_eq!(context["csi.storage.k8s.io/serviceAccount.name"], "acc");
        assert_eq!(context["csi.storage.k8s.io/ephemeral"], "false");
        assert_eq!(mount.own_group(Abilities::default()).map(|(group, _)| group), Some(7));
        let able = Abilities { sets_group: true, counts_writers: true, ..Abilities::default() };
        assert_eq!(mount.own_group(able), None);
        let asked = mount.capability(able);
        assert_eq!(
            asked.access_mode.unwrap().mode,
            v1::volume_capability::access_mode::Mode::SingleNodeMultiWriter as i32
        );
        let Some(v1::volume_capability::AccessType::Mount(asked)) = asked.access_type else {
            panic!("a mount")
        };
        assert_eq!((asked.fs_type.as_str(), asked.volume_mount_group.as_str()), ("ext4", "7"));
        assert_eq!(asked.mount_flags, ["noatime"]);
        let asked = mount.capability(Abilities::default());
        let Some(v1::volume_capability::AccessType::Mount(asked)) = asked.access_type else {
            panic!("a mount")
        };
        assert_eq!(asked.volume_mount_group, "");
        assert_eq!(mount.spec.stage_secret, Some(SecretName { namespace: "s".into(), name: "stage".into() }));
    }
}
