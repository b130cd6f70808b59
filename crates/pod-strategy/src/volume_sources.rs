//! Validation of the volume sources that pods and PersistentVolumes share.

use serde_json::Value;

use crate::probes::validate_label;
use crate::volumes::no_backsteps;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// What is told of a name and a target that are too long together.
pub const LONG_TARGET: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

/// Validates a PersistentVolume's source given by its field name.
pub fn validate(kind: &str, source: &Value, path: &Path, errors: &mut Errors) {
    validate_as(kind, source, true, path, errors);
}

/// Validates a source of a pod's own volume, which names things of the pod's namespace.
pub(crate) fn validate_of_pod(kind: &str, source: &Value, path: &Path, errors: &mut Errors) {
    validate_as(kind, source, false, path, errors);
}

fn validate_as(kind: &str, source: &Value, persistent: bool, path: &Path, errors: &mut Errors) {
    if matches!(kind, "rbd" | "cephfs") && source.items("monitors").is_empty() {
        errors.required(&path.child("monitors"), "");
    }
    if kind == "quobyte" {
        quobyte(source, path, errors);
    }
    let required: &[&str] = match kind {
        "hostPath" => &["path"],
        "nfs" => &["server", "path"],
        "iscsi" => &["targetPortal", "iqn"],
        "csi" => &["driver"],
        "local" => &["path"],
        "rbd" => &["image"],
        "glusterfs" => &["endpoints", "path"],
        "gcePersistentDisk" => &["pdName"],
        "awsElasticBlockStore" | "cinder" => &["volumeID"],
        "azureFile" => &["secretName", "shareName"],
        "azureDisk" => &["diskName", "diskURI"],
        "vsphereVolume" => &["volumePath"],
        "photonPersistentDisk" => &["pdID"],
        "portworxVolume" => &["volumeID"],
        "quobyte" => &["volume"],
        "scaleIO" => &["gateway", "system", "volumeName"],
        "flexVolume" => &["driver"],
        _ => &[],
    };
    for key in required {
        if source.text(key).is_empty() {
            errors.required(&path.child(key), "");
        }
    }
    match kind {
        "hostPath" if !source.text("path").is_empty() => {
            no_backsteps(source.text("path"), &path.child("path"), errors);
            let host_type = source.text("type");
            if !HOST_PATH_TYPES.contains(&host_type) {
                errors.unsupported(&path.child("type"), host_type, &HOST_PATH_TYPES);
            }
        }
        "local" => no_backsteps(source.text("path"), &path.child("path"), errors),
        "nfs" if !source.text("path").starts_with('/') => {
            errors.invalid(&path.child("path"), source.text("path"), "must be an absolute path");
        }
        "csi" if !source.text("driver").is_empty() => driver(source, persistent, path, errors),
        "gcePersistentDisk" | "awsElasticBlockStore" => {
            // Upstream says one thing and takes another: zero is the whole disk.
            if let Some(number) = source.int("partition").filter(|number| !(0..=255).contains(number)) {
                errors.invalid(&path.child("partition"), number, "must be between 1 and 255, inclusive");
            }
        }
        "iscsi" => iscsi(source, persistent, path, errors),
        "fc" => fibre_channel(source, path, errors),
        "flocker" => flocker(source, path, errors),
        "azureDisk" => azure_disk(source, path, errors),
        "azureFile" if persistent && source["secretNamespace"] == "" => {
            errors.required(&path.child("secretNamespace"), "");
        }
        "cinder" => secret(source, persistent, path, errors),
        "storageos" => {
            match source.text("volumeName") {
                "" => errors.required(&path.child("volumeName"), ""),
                name => validate_label(name, &path.child("volumeName"), errors),
            }
            let namespace = source.text("volumeNamespace");
            if !namespace.is_empty() {
                validate_label(namespace, &path.child("volumeNamespace"), errors);
            }
            secret(source, persistent, path, errors);
        }
        "glusterfs" if persistent && source.has("endpointsNamespace") => {
            let path = path.child("endpointsNamespace");
            match source.text("endpointsNamespace") {
                "" => errors.invalid(
                    &path,
                    "",
                    "if the endpointnamespace is set, it must be a valid namespace name",
                ),
                name => validate_label(name, &path, errors),
            }
        }
        "flexVolume" => {
            for (key, _) in source.entries("options") {
                let namespace = key.split('/').next().unwrap_or_default().to_lowercase();
                let namespace = format!(".{namespace}");
                if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
                    errors.invalid(
                        &path.child("options").key(key),
                        key.as_str(),
                        "kubernetes.io and k8s.io namespaces are reserved",
                    );
                }
            }
        }
        _ => {}
    }
}

/// Validates that a reference to a secret names it, and its namespace where that is not the pod's own.
fn secret(source: &Value, persistent: bool, path: &Path, errors: &mut Errors) {
    let reference = &source["secretRef"];
    if reference.is_null() {
        return;
    }
    let path = path.child("secretRef");
    if reference.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    }
    if persistent && reference.text("namespace").is_empty() {
        errors.required(&path.child("namespace"), "");
    }
}

fn quobyte(source: &Value, path: &Path, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    const LONGEST_TENANT: usize = 64;
    let registry = source.text("registry");
    if registry.is_empty() {
        errors.required(&path.child("registry"), PAIRS);
    } else if source.text("tenant").len() > LONGEST_TENANT {
        errors.required(&path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for _ in registry.split(',').filter(|pair| !is_pair(pair)) {
            errors.invalid(&path.child("registry"), registry, PAIRS);
        }
    }
}

/// Whether text is a host and a port, the host in brackets where it has colons itself.
fn is_pair(text: &str) -> bool {
    match text.strip_prefix('[').map(|rest| rest.split_once("]:")) {
        Some(Some((host, port))) => !host.contains(['[', ']']) && !port.contains([':', '[', ']']),
        Some(None) => false,
        None => text.matches(':').count() == 1 && !text.contains(['[', ']']),
    }
}

/// Validates the name of a storage driver, with the secret with which pods publish volumes of it on nodes.
fn driver(source: &Value, persistent: bool, path: &Path, errors: &mut Errors) {
    let driver = source.text("driver");
    if driver.len() > 63 {
        errors.too_long(&path.child("driver"), 63);
    }
    let found = names::errors(NameRule::Subdomain, &driver.to_lowercase());
    errors.invalid_each(&path.child("driver"), &Value::from(driver), found);
    if !persistent && source.has("nodePublishSecretRef") {
        match source["nodePublishSecretRef"].text("name") {
            "" => errors.required(&path.child("nodePublishSecretRef").child("name"), ""),
            name => {
                // Upstream leaves the reference out of the path.
                let found = names::errors(NameRule::Subdomain, name);
                errors.invalid_each(&path.child("name"), &Value::from(name), found);
            }
        }
    }
}

/// A logical unit: what fits in a byte.
fn one_byte(source: &Value, key: &str, path: &Path, errors: &mut Errors) {
    if let Some(number) = source.int(key).filter(|number| !(0..=255).contains(number)) {
        errors.invalid(&path.child(key), number, "must be between 0 and 255, inclusive");
    }
}

fn iscsi(source: &Value, persistent: bool, path: &Path, errors: &mut Errors) {
    let unknown = if persistent {
        "must be valid format"
    } else {
        "must be valid format starting with iqn, eui, or naa"
    };
    let check = |name: &str, path: &Path, errors: &mut Errors| {
        if !["iqn", "eui", "naa"].iter().any(|form| name.starts_with(form)) {
            errors.invalid(path, name, unknown);
        } else if !is_initiator(name) {
            errors.invalid(path, name, "must be valid format");
        }
    };
    if !source.text("iqn").is_empty() {
        check(source.text("iqn"), &path.child("iqn"), errors);
    }
    one_byte(source, "lun", path, errors);
    let authenticated = ["chapAuthDiscovery", "chapAuthSession"].iter().any(|key| source[*key] == true);
    if authenticated && !source.has("secretRef") {
        errors.required(&path.child("secretRef"), "");
    }
    if persistent && source.has("secretRef") && source["secretRef"].text("name").is_empty() {
        errors.required(&path.child("secretRef").child("name"), "");
    }
    if source.has("initiatorName") {
        check(source.text("initiatorName"), &path.child("initiatorname"), errors);
    }
}

/// Whether a name of RFC 3721 has the form that its first letters promise.
fn is_initiator(name: &str) -> bool {
    let alphanumeric = |text: &str, count: usize| {
        text.chars().count() == count && text.chars().all(|c| c.is_ascii_alphanumeric())
    };
    match name.get(..3) {
        // One character stands between them, whatever it is.
        Some(form @ ("eui" | "naa")) => {
            let rest: String = name.chars().skip(4).collect();
            alphanumeric(&rest, if form == "eui" { 16 } else { 32 })
        }
        Some("iqn") => is_qualified(&name[3..]),
        _ => false,
    }
}

/// `.2001-04.com.example:storage`, after `iqn`.
fn is_qualified(rest: &str) -> bool {
    let Some((authority, unique)) = rest.split_once(':') else { return false };
    let Some(date) = authority.strip_prefix('.').filter(|date| date.is_ascii() && date.len() > 8) else {
        return false;
    };
    let (date, authority) = date.split_at(8);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let named = authority.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    digits(&date[..4])
        && &date[4..5] == "-"
        && digits(&date[5..7])
        && date.ends_with('.')
        && named
        && !unique.is_empty()
        && !unique.contains([',', ';', '*', '&', '$', '|'])
        && !unique.contains(char::is_whitespace)
}

fn fibre_channel(source: &Value, path: &Path, errors: &mut Errors) {
    let names = source.items("targetWWNs");
    let path_of_names = path.child("targetWWNs");
    match (names.is_empty(), source.items("wwids").is_empty()) {
        (true, true) => {
            errors.required(&path_of_names, "must specify either targetWWNs or wwids, but not both")
        }
        (false, false) => errors.invalid(
            &path_of_names,
            source["targetWWNs"].clone(),
            "targetWWNs and wwids can not be specified simultaneously",
        ),
        _ => {}
    }
    if !names.is_empty() {
        if source.has("lun") {
            one_byte(source, "lun", path, errors);
        } else {
            errors.required(&path.child("lun"), "lun is required if targetWWNs is specified");
        }
    }
}

fn flocker(source: &Value, path: &Path, errors: &mut Errors) {
    let name = source.text("datasetName");
    match (name.is_empty(), source.text("datasetUUID").is_empty()) {
        (true, true) => errors.required(path, "one of datasetName and datasetUUID is required"),
        (false, false) => {
            errors.invalid(
                path,
                "resource",
                "datasetName and datasetUUID can not be specified simultaneously",
            );
        }
        _ => {}
    }
    if name.contains('/') {
        errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

fn azure_disk(source: &Value, path: &Path, errors: &mut Errors) {
    for (key, supported) in
        [("cachingMode", ["None", "ReadOnly", "ReadWrite"]), ("kind", ["Dedicated", "Managed", "Shared"])]
    {
        if source.has(key) && !supported.contains(&source.text(key)) {
            errors.unsupported(&path.child(key), source.text(key), &supported);
        }
    }
    if !source.has("kind") {
        return;
    }
    let address = source.text("diskURI");
    let (start, expected) = match source.text("kind") {
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
    };
    if !address.starts_with(start) {
        errors.unsupported(&path.child("diskURI"), address, &[expected]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn sources_say_what_they_need() {
        for (kind, source, expected) in [
            ("nfs", json!({"server": "s", "path": "/x"}), ""),
            (
                "nfs",
                json!({"server": "s", "path": "x"}),
                r#"v.path: Invalid value: "x": must be an absolute path"#,
            ),
            (
                "iscsi",
                json!({"targetPortal": "p", "iqn": "x", "lun": 256, "chapAuthSession": true}),
                "v.iqn: Invalid value: \"x\": must be valid format\n\
                 v.lun: Invalid value: 256: must be between 0 and 255, inclusive\nv.secretRef: Required value",
            ),
            (
                "iscsi",
                json!({"targetPortal": "p", "iqn": "iqn.2001-04.com.example:storage:disk", "lun": 0, "initiatorName": "eui.0123456789abcdef"}),
                "",
            ),
            (
                "iscsi",
                json!({"targetPortal": "p", "iqn": "iqn.2001-4.com.example:a", "lun": 0, "initiatorName": "naa.0"}),
                "v.iqn: Invalid value: \"iqn.2001-4.com.example:a\": must be valid format\n\
                 v.initiatorname: Invalid value: \"naa.0\": must be valid format",
            ),
            ("fc", json!({"wwids": ["a"]}), ""),
            (
                "fc",
                json!({"targetWWNs": ["a"]}),
                "v.lun: Required value: lun is required if targetWWNs is specified",
            ),
            (
                "fc",
                json!({}),
                "v.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both",
            ),
            ("flocker", json!({}), "v: Required value: one of datasetName and datasetUUID is required"),
            (
                "awsElasticBlockStore",
                json!({"volumeID": "a", "partition": -1}),
                "v.partition: Invalid value: -1: must be between 1 and 255, inclusive",
            ),
            (
                "azureDisk",
                json!({"diskName": "a", "diskURI": "https://x", "cachingMode": "Some", "kind": "Shared"}),
                r#"v.cachingMode: Unsupported value: "Some": supported values: "None", "ReadOnly", "ReadWrite""#,
            ),
            (
                "csi",
                json!({"driver": "a_b"}),
                "v.driver: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
        ] {
            assert_eq!(
                found(|errors| validate(kind, &source, &Path::root("v"), errors)),
                expected,
                "{source}"
            );
        }
    }
}
