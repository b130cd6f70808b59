//! What a pod or a persistent volume refers to.

use apimachinery::ObjectExt as _;
use serde_json::Value;

/// The kinds that pods refer to by name in their own namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Secret,
    ConfigMap,
    Claim,
    ServiceAccount,
    ResourceClaim,
}

/// A pod on a node, with the objects of its namespace that it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlacedPod {
    pub node: Box<str>,
    pub needs: Box<[(Target, Box<str>)]>,
}

/// A pod's node and needs; `None` while it is not placed.
///
/// A mirror pod needs nothing: the kubelet wrote it, and must not give itself rights by what it writes there.
pub(super) fn placed_pod(pod: &Value) -> Option<PlacedPod> {
    let node = pod.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty())?;
    let mut needs = Vec::new();
    if pod.annotation("kubernetes.io/config.mirror").is_none() {
        collect(pod, &mut needs);
        needs.sort();
        needs.dedup();
    }
    Some(PlacedPod { node: node.into(), needs: needs.into() })
}

fn collect(pod: &Value, needs: &mut Vec<(Target, Box<str>)>) {
    let mut need = |target: Target, name: Option<&str>| {
        needs.extend(name.filter(|name| !name.is_empty()).map(|name| (target, name.into())));
    };
    need(Target::ServiceAccount, pod.str_at(&["spec", "serviceAccountName"]));
    for secret in pod.list_at(&["spec", "imagePullSecrets"]) {
        need(Target::Secret, secret.str_at(&["name"]));
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in pod.list_at(&["spec", list]) {
            for from in container.list_at(&["envFrom"]) {
                need(Target::Secret, from.str_at(&["secretRef", "name"]));
                need(Target::ConfigMap, from.str_at(&["configMapRef", "name"]));
            }
            for variable in container.list_at(&["env"]) {
                need(Target::Secret, variable.str_at(&["valueFrom", "secretKeyRef", "name"]));
                need(Target::ConfigMap, variable.str_at(&["valueFrom", "configMapKeyRef", "name"]));
            }
        }
    }
    for volume in pod.list_at(&["spec", "volumes"]) {
        need(Target::Secret, volume.str_at(&["secret", "secretName"]));
        need(Target::ConfigMap, volume.str_at(&["configMap", "name"]));
        need(Target::Claim, volume.str_at(&["persistentVolumeClaim", "claimName"]));
        if volume.at(&["ephemeral"]).is_some() {
            let claim = format!("{}-{}", pod.name(), volume.str_at(&["name"]).unwrap_or(""));
            need(Target::Claim, Some(&claim));
        }
        for source in volume.list_at(&["projected", "sources"]) {
            need(Target::Secret, source.str_at(&["secret", "name"]));
            need(Target::ConfigMap, source.str_at(&["configMap", "name"]));
        }
        for (_, name) in volume_secrets(volume) {
            need(Target::Secret, Some(name));
        }
    }
    for claim in pod.list_at(&["spec", "resourceClaims"]) {
        need(Target::ResourceClaim, claim.str_at(&["resourceClaimName"]));
    }
    for claim in pod.list_at(&["status", "resourceClaimStatuses"]) {
        need(Target::ResourceClaim, claim.str_at(&["resourceClaimName"]));
    }
    need(Target::ResourceClaim, pod.str_at(&["status", "extendedResourceClaimStatus", "resourceClaimName"]));
}

/// The secrets that a volume source names, with their namespace where it says one: the fields of the volume
/// plugins, in pods and in persistent volumes.
fn volume_secrets(source: &Value) -> Vec<(Option<&str>, &str)> {
    const REFERENCES: &[&[&str]] = &[
        &["cephfs", "secretRef"],
        &["cinder", "secretRef"],
        &["csi", "controllerExpandSecretRef"],
        &["csi", "controllerPublishSecretRef"],
        &["csi", "nodeExpandSecretRef"],
        &["csi", "nodePublishSecretRef"],
        &["csi", "nodeStageSecretRef"],
        &["flexVolume", "secretRef"],
        &["iscsi", "secretRef"],
        &["rbd", "secretRef"],
        &["scaleIO", "secretRef"],
        &["storageos", "secretRef"],
    ];
    let mut secrets = Vec::new();
    for path in REFERENCES {
        if let Some(reference) = source.at(path)
            && let Some(name) = reference.str_at(&["name"])
        {
            secrets.push((reference.str_at(&["namespace"]), name));
        }
    }
    if let Some(name) = source.str_at(&["azureFile", "secretName"]) {
        secrets.push((source.str_at(&["azureFile", "secretNamespace"]), name));
    }
    secrets
}

/// A bound persistent volume: the claim it is bound to, and the secrets it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BoundVolume {
    pub claim: (Box<str>, Box<str>),
    pub secrets: Box<[(Box<str>, Box<str>)]>,
}

/// A volume's claim and secrets; `None` while it is not claimed.
pub(super) fn volume(volume: &Value) -> Option<BoundVolume> {
    let namespace = volume.str_at(&["spec", "claimRef", "namespace"])?;
    let name = volume.str_at(&["spec", "claimRef", "name"])?;
    let spec = volume.at(&["spec"])?;
    let secrets = volume_secrets(spec)
        .into_iter()
        .map(|(of, name)| (of.filter(|of| !of.is_empty()).unwrap_or(namespace).into(), name.into()))
        .collect();
    Some(BoundVolume { claim: (namespace.into(), name.into()), secrets })
}
