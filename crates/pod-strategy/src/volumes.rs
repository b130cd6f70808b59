//! Validation of volumes and of their mounts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::env::validate_downward_file;
use crate::probes::validate_label;
use crate::resources::quantity;
use crate::tolerated::Tolerated;
use crate::{projected, volume_sources};
use strategy::field::{Errors, Path};
use strategy::metadata::{validate_annotations, validate_labels};
use strategy::names;
use strategy::read::{Read, is_empty};

/// The volumes of a pod that are well formed, by name.
pub(crate) type Volumes<'a> = BTreeMap<&'a str, &'a Value>;

/// Validates the volumes of a pod spec and gives those that mounts may name; a pod, unlike a template, has a name.
pub(crate) fn validate<'a>(
    volumes: &'a [Value],
    pod_name: Option<&str>,
    tolerated: Tolerated,
    path: &Path,
    errors: &mut Errors,
) -> Volumes<'a> {
    let mut known = Volumes::new();
    let made: Vec<String> = volumes
        .iter()
        .filter(|volume| volume.has("ephemeral"))
        .filter_map(|volume| made_claim(pod_name, volume.text("name")))
        .collect();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let name = volume.text("name");
        let mut found = Errors::new();
        validate_source(volume, pod_name, tolerated, &path, &mut found);
        if name.is_empty() {
            found.required(&path.child("name"), "");
        } else {
            validate_label(name, &path.child("name"), &mut found);
        }
        if known.contains_key(name) {
            found.duplicate(&path.child("name"), name);
        }
        if found.is_empty() {
            known.insert(name, volume);
        } else {
            errors.extend(found.into_vec());
        }
        let claim = volume["persistentVolumeClaim"].text("claimName");
        if made.iter().any(|made| made == claim) {
            errors.invalid(
                &path.child("persistentVolumeClaim").child("claimName"),
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    known
}

/// The name of the claim that is made for a volume of a pod.
fn made_claim(pod_name: Option<&str>, volume: &str) -> Option<String> {
    pod_name.filter(|pod| !pod.is_empty()).map(|pod| format!("{pod}-{volume}"))
}

/// The sources that a pod's volume may have, in the order in which upstream looks for them.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

fn validate_source(
    volume: &Value,
    pod_name: Option<&str>,
    tolerated: Tolerated,
    path: &Path,
    errors: &mut Errors,
) {
    let volume_path = path;
    let name = volume.text("name");
    let mut count = 0;
    for kind in SOURCES {
        let source = &volume[kind];
        if source.is_null() {
            continue;
        }
        count += 1;
        if count > 1 {
            // Written so by upstream.
            let kind = match kind {
                "cephfs" => "cephFS",
                "downwardAPI" => "downwarAPI",
                kind => kind,
            };
            errors.forbidden(&path.child(kind), "may not specify more than 1 volume type");
        }
        if kind == "iscsi" && count > 1 {
            check_initiator(source, name, volume_path, errors);
        }
        if count > 1 {
            continue;
        }
        let path = path.child(if kind == "gcePersistentDisk" { "persistentDisk" } else { kind });
        match kind {
            "emptyDir" => {
                if quantity(&source["sizeLimit"]).is_some_and(|limit| limit.sign() < 0) {
                    errors.forbidden(
                        &path.child("sizeLimit"),
                        "SizeLimit field must be a valid resource quantity",
                    );
                }
            }
            "secret" | "configMap" => {
                let key = if kind == "secret" { "secretName" } else { "name" };
                if source.text(key).is_empty() {
                    errors.required(&path.child(key), "");
                }
                validate_mode(source, "defaultMode", &path, errors);
                validate_items(source, &path, errors);
            }
            "downwardAPI" => {
                validate_mode(source, "defaultMode", &path, errors);
                // Upstream leaves the items out of their paths.
                for file in source.items("items") {
                    validate_downward_file(file, &path, errors);
                }
            }
            "persistentVolumeClaim" => {
                if source.text("claimName").is_empty() {
                    errors.required(&path.child("claimName"), "");
                }
            }
            "projected" => projected::validate(source, tolerated, &path, errors),
            "ephemeral" => {
                if source.has("volumeClaimTemplate") {
                    let template = &source["volumeClaimTemplate"];
                    validate_claim_template(template, &path.child("volumeClaimTemplate"), errors);
                } else {
                    errors.required(&path.child("volumeClaimTemplate"), "");
                }
                if let Some(claim) = made_claim(pod_name, name).filter(|_| !name.is_empty()) {
                    for message in names::errors(strategy::NameRule::Subdomain, &claim) {
                        let why = format!("PVC name {claim:?}: {message}");
                        errors.invalid(&volume_path.child("name"), name, why);
                    }
                }
            }
            "image" => {
                if pod_name.is_some() && source.text("reference").is_empty() {
                    errors.required(&path.child("reference"), "");
                }
                validate_pull_policy(source.text("pullPolicy"), &path.child("pullPolicy"), errors);
            }
            "iscsi" => {
                volume_sources::validate_of_pod(kind, source, &path, errors);
                check_initiator(source, name, volume_path, errors);
            }
            "gitRepo" => {
                if source.text("repository").is_empty() {
                    errors.required(&path.child("repository"), "");
                }
                validate_local_path(source.text("directory"), false, &path.child("directory"), errors);
            }
            _ => volume_sources::validate_of_pod(kind, source, &path, errors),
        }
    }
    if count == 0 {
        errors.required(path, "must specify a volume type");
    }
}

/// Validates that what is made of a volume's name and its target is not too long for an initiator of its own.
fn check_initiator(source: &Value, volume: &str, path: &Path, errors: &mut Errors) {
    if source.has("initiatorName") && volume.len() + 1 + source.text("targetPortal").len() > 64 {
        errors.invalid(&path.child("name"), volume, volume_sources::LONG_TARGET);
    }
}

/// Metadata that the template of a claim may not have, in upstream's order, with its name in messages.
const NOT_OF_TEMPLATES: [&str; 13] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

fn validate_claim_template(template: &Value, path: &Path, errors: &mut Errors) {
    let metadata = &template["metadata"];
    let metadata_path = path.child("metadata");
    validate_annotations(&metadata["annotations"], &metadata_path.child("annotations"), errors);
    validate_labels(&metadata["labels"], &metadata_path.child("labels"), errors);
    for key in NOT_OF_TEMPLATES.iter().filter(|key| !is_empty(&metadata[**key])) {
        let shown = if *key == "uid" { "uID" } else { *key };
        errors.forbidden(&metadata_path.child(shown), "cannot be set");
    }
    crate::persistent_volume_claim::validate_spec(&template["spec"], &path.child("spec"), errors);
}

/// Validates which keys of a ConfigMap or Secret become which files.
pub(crate) fn validate_items(files: &Value, path: &Path, errors: &mut Errors) {
    for (index, item) in files.items("items").iter().enumerate() {
        let items_path = path.child("items");
        let path = items_path.index(index);
        if item.text("key").is_empty() {
            errors.required(&path.child("key"), "");
        }
        if item.text("path").is_empty() {
            errors.required(&path.child("path"), "");
        }
        validate_local_path(item.text("path"), true, &path.child("path"), errors);
        validate_mode(item, "mode", &path, errors);
    }
}

/// Validates file permission bits, where given.
pub(crate) fn validate_mode(files: &Value, key: &str, path: &Path, errors: &mut Errors) {
    if let Some(mode) = files.int(key).filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(&path.child(key), mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

/// Validates that a path stays below where it starts; with `unreserved` it may not begin with two dots at all.
pub(crate) fn validate_local_path(local: &str, unreserved: bool, path: &Path, errors: &mut Errors) {
    if local.starts_with('/') {
        errors.invalid(path, local, "must be a relative path");
    }
    no_backsteps(local, path, errors);
    if unreserved && local.starts_with("..") && !local.starts_with("../") {
        errors.invalid(path, local, "must not start with '..'");
    }
}

/// Validates that a path does not step back.
pub(crate) fn no_backsteps(text: &str, path: &Path, errors: &mut Errors) {
    if text.split('/').any(|part| part == "..") {
        errors.invalid(path, text, "must not contain '..'");
    }
}

/// Validates when an image is pulled.
pub(crate) fn validate_pull_policy(policy: &str, path: &Path, errors: &mut Errors) {
    match policy {
        "Always" | "IfNotPresent" | "Never" => {}
        "" => errors.required(path, ""),
        other => errors.unsupported(path, other, &["Always", "IfNotPresent", "Never"]),
    }
}

/// Validates what a container mounts and which devices it gets.
pub(crate) fn validate_mounts(container: &Value, volumes: &Volumes, path: &Path, errors: &mut Errors) {
    let devices = container.items("volumeDevices");
    let mounts = container.items("volumeMounts");
    let mut taken: Vec<&str> = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let mounts_path = path.child("volumeMounts");
        let path = mounts_path.index(index);
        let (name, target) = (mount.text("name"), mount.text("mountPath"));
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        }
        if !volumes.contains_key(name) {
            errors.not_found(&path.child("name"), name);
        }
        if target.is_empty() {
            errors.required(&path.child("mountPath"), "");
        }
        if taken.contains(&target) {
            errors.invalid(&path.child("mountPath"), target, "must be unique");
        }
        taken.push(target);
        if devices.iter().any(|device| device.text("name") == name) {
            errors.invalid(&path.child("name"), name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.text("devicePath") == target) {
            errors.invalid(
                &path.child("mountPath"),
                target,
                "must not already exist as a path in volumeDevices",
            );
        }
        let (sub_path, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
        // Upstream leaves the index out of the paths that follow.
        validate_local_path(sub_path, false, &mounts_path.child("subPath"), errors);
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                errors.invalid(
                    &path.child("subPathExpr"),
                    expression,
                    "subPathExpr and subPath are mutually exclusive",
                );
            }
            validate_local_path(expression, false, &mounts_path.child("subPathExpr"), errors);
        }
        validate_propagation(mount, container, &mounts_path, errors);
    }
    for (index, device) in devices.iter().enumerate() {
        let devices_path = path.child("volumeDevices");
        let path = devices_path.index(index);
        let (name, target) = (device.text("name"), device.text("devicePath"));
        let earlier = |key: &str| devices[..index].iter().any(|other| other.text(key) == device.text(key));
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if earlier("name") {
            errors.invalid(&path.child("name"), name, "must be unique");
        }
        match volumes.get(name) {
            Some(volume) if volume.has("persistentVolumeClaim") || volume.has("ephemeral") => {}
            Some(_) => errors.invalid(
                &path.child("name"),
                name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            ),
            None => errors.not_found(&path.child("name"), name),
        }
        let backsteps = target.split('/').any(|part| part == "..");
        if target.is_empty() {
            errors.required(&path.child("devicePath"), "");
        }
        // A path that steps back is not remembered.
        if !backsteps && earlier("devicePath") {
            errors.invalid(&path.child("devicePath"), target, "must be unique");
        }
        if backsteps {
            errors.invalid(&path.child("devicePath"), target, "can not contain backsteps ('..')");
        }
        if mounts.iter().any(|mount| mount.text("name") == name) {
            errors.invalid(&path.child("name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.text("mountPath") == target) {
            errors.invalid(
                &path.child("devicePath"),
                target,
                "must not already exist as a path in volumeMounts",
            );
        }
    }
}

fn validate_propagation(mount: &Value, container: &Value, path: &Path, errors: &mut Errors) {
    const MODES: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
    if mount.has("mountPropagation") {
        let mode = mount.text("mountPropagation");
        let path = path.child("mountPropagation");
        if !MODES.contains(&mode) {
            errors.unsupported(&path, mode, &MODES);
        }
        if mode == "Bidirectional" && container["securityContext"].flag("privileged") != Some(true) {
            errors.forbidden(
                &path,
                "Bidirectional mount propagation is available only to privileged containers",
            );
        }
    }
    if mount.has("recursiveReadOnly") {
        let mode = mount.text("recursiveReadOnly");
        let path = path.child("recursiveReadOnly");
        match mode {
            "Disabled" => {}
            "Enabled" | "IfPossible" => {
                if mount.flag("readOnly") != Some(true) {
                    errors.forbidden(&path, "may only be specified when readOnly is true");
                }
                if !matches!(mount.text("mountPropagation"), "" | "None") {
                    errors.forbidden(
                        &path,
                        "may only be specified when mountPropagation is None or not specified",
                    );
                }
            }
            other => errors.unsupported(&path, other, &["Disabled", "Enabled", "IfPossible"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::listed;

    fn check(volume: Value, expected: &str) {
        let volumes = [volume];
        let mut errors = Errors::new();
        validate(&volumes, None, Tolerated::default(), &Path::root("volumes"), &mut errors);
        assert_eq!(listed(errors.into_vec()), expected);
    }

    #[test]
    fn volumes_have_one_well_formed_source() {
        check(json!({"name": "a", "emptyDir": {}}), "");
        check(json!({"name": "a"}), "volumes[0]: Required value: must specify a volume type");
        check(
            json!({"name": "a", "emptyDir": {}, "hostPath": {"path": "/x"}}),
            "volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        );
        check(json!({"name": "a", "hostPath": {}}), "volumes[0].hostPath.path: Required value");
        check(
            json!({"name": "a", "hostPath": {"path": "/x/../y"}}),
            "volumes[0].hostPath.path: Invalid value: \"/x/../y\": must not contain '..'",
        );
        check(
            json!({"name": "a", "hostPath": {"path": "/x", "type": "Dir"}}),
            r#"volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket""#,
        );
        check(
            json!({"name": "a", "configMap": {"name": "c", "defaultMode": 1000}}),
            "volumes[0].configMap.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
        );
        check(
            json!({"name": "a", "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 5, "path": "/t"}}]}}),
            "volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes\nvolumes[0].projected.path: Invalid value: \"/t\": must be a relative path",
        );
    }

    #[test]
    fn mounts_name_a_volume_and_a_path_of_their_own() {
        let volumes = [json!({"name": "a", "emptyDir": {}})];
        let container = json!({"volumeMounts": [
            {"name": "a", "mountPath": "/x"},
            {"name": "b", "mountPath": "/x", "subPath": "../y"},
        ]});
        let mut errors = Errors::new();
        let known = validate(&volumes, None, Tolerated::default(), &Path::root("volumes"), &mut errors);
        validate_mounts(&container, &known, &Path::root("c"), &mut errors);
        assert_eq!(
            listed(errors.into_vec()),
            "c.volumeMounts[1].name: Not found: \"b\"\nc.volumeMounts[1].mountPath: Invalid value: \"/x\": must be unique\nc.volumeMounts.subPath: Invalid value: \"../y\": must not contain '..'"
        );
    }
}
