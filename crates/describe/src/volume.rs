//! Volumes of pods, and `kubectl describe pv|pvc|storageclass`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, joined, labels, line, name, or_none, text};
use cli_runtime::error::Result;
use cli_runtime::resource::{Session, pods};

/// Writes the volumes of a pod or of a pod template.
pub fn of_pod(out: &mut String, volumes: &[Value], indent: &str) {
    if volumes.is_empty() {
        line!(out, "{indent}Volumes:\t<none>");
        return;
    }
    line!(out, "{indent}Volumes:");
    for volume in volumes {
        let name_indent = if indent.is_empty() { "  " } else { "   " };
        line!(out, "{name_indent}{}:", text(&volume["name"]));
        source(out, volume);
    }
}

fn source(out: &mut String, volume: &Value) {
    let field = |out: &mut String, name: &str, value: String| line!(out, "    {name}:\t{value}");
    let kind = |out: &mut String, name: &str, about: &str| line!(out, "    Type:\t{name} ({about})");
    let shown = |value: &Value, fallback: &str| {
        if text(value).is_empty() { fallback.to_string() } else { text(value) }
    };
    if let Some(directory) = volume.get("emptyDir") {
        kind(out, "EmptyDir", "a temporary directory that shares a pod's lifetime");
        field(out, "Medium", text(&directory["medium"]));
        field(out, "SizeLimit", shown(&directory["sizeLimit"], "<unset>"));
    } else if let Some(path) = volume.get("hostPath") {
        kind(out, "HostPath", "bare host directory volume");
        field(out, "Path", text(&path["path"]));
        field(out, "HostPathType", text(&path["type"]));
    } else if let Some(secret) = volume.get("secret") {
        kind(out, "Secret", "a volume populated by a Secret");
        field(out, "SecretName", text(&secret["secretName"]));
        field(out, "Optional", (secret["optional"] == true).to_string());
    } else if let Some(map) = volume.get("configMap") {
        kind(out, "ConfigMap", "a volume populated by a ConfigMap");
        field(out, "Name", text(&map["name"]));
        field(out, "Optional", (map["optional"] == true).to_string());
    } else if let Some(claim) = volume.get("persistentVolumeClaim") {
        kind(out, "PersistentVolumeClaim", "a reference to a PersistentVolumeClaim in the same namespace");
        field(out, "ClaimName", text(&claim["claimName"]));
        field(out, "ReadOnly", (claim["readOnly"] == true).to_string());
    } else if let Some(projected) = volume.get("projected") {
        kind(out, "Projected", "a volume that contains injected data from multiple sources");
        for source in projected.list_at(&["sources"]) {
            if let Some(secret) = source.get("secret") {
                field(out, "SecretName", text(&secret["name"]));
                field(out, "Optional", (secret["optional"] == true).to_string());
            } else if source.get("downwardAPI").is_some() {
                field(out, "DownwardAPI", "true".into());
            } else if let Some(map) = source.get("configMap") {
                field(out, "ConfigMapName", text(&map["name"]));
                field(out, "Optional", (map["optional"] == true).to_string());
            } else if let Some(token) = source.get("serviceAccountToken") {
                field(
                    out,
                    "TokenExpirationSeconds",
                    token["expirationSeconds"].as_i64().unwrap_or(3600).to_string(),
                );
            }
        }
    } else if let Some(downward) = volume.get("downwardAPI") {
        kind(out, "DownwardAPI", "a volume populated by information about the pod");
        line!(out, "    Items:");
        for item in downward.list_at(&["items"]) {
            let from = match item["fieldRef"].is_object() {
                true => text(&item["fieldRef"]["fieldPath"]),
                false => text(&item["resourceFieldRef"]["resource"]),
            };
            line!(out, "      {from} -> {}", text(&item["path"]));
        }
    } else if let Some(nfs) = volume.get("nfs") {
        kind(out, "NFS", "an NFS mount that lasts the lifetime of a pod");
        field(out, "Server", text(&nfs["server"]));
        field(out, "Path", text(&nfs["path"]));
        field(out, "ReadOnly", (nfs["readOnly"] == true).to_string());
    } else if let Some(csi) = volume.get("csi") {
        kind(out, "CSI", "a Container Storage Interface (CSI) volume source");
        field(out, "Driver", text(&csi["driver"]));
        field(out, "FSType", text(&csi["fsType"]));
        if csi.get("volumeHandle").is_some() {
            field(out, "VolumeHandle", text(&csi["volumeHandle"]));
        }
        field(out, "ReadOnly", (csi["readOnly"] == true).to_string());
        let attributes = csi["volumeAttributes"].as_object().into_iter().flatten();
        let attributes: Vec<String> =
            attributes.map(|(key, value)| format!("    {key}={}", text(value))).collect();
        let attributes = match attributes.is_empty() {
            true => "<none>".to_owned(),
            // The indents are upstream's.
            false => attributes.join("\n        \t"),
        };
        field(out, "VolumeAttributes", attributes);
    } else if let Some(local) = volume.get("local") {
        kind(out, "LocalVolume", "a persistent volume backed by local storage on a node");
        field(out, "Path", text(&local["path"]));
    } else {
        line!(out, "  <unknown>");
    }
}

fn modes(value: &Value) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    value.as_array().into_iter().flatten().map(short).collect::<Vec<_>>().join(",")
}

/// Writes a persistent volume's description.
pub fn persistent(out: &mut String, volume: &Value) {
    let spec = &volume["spec"];
    line!(out, "Name:\t{}", volume.name());
    labels(out, volume);
    annotations(out, volume);
    line!(out, "Finalizers:\t[{}]", volume.finalizers().collect::<Vec<_>>().join(" "));
    line!(out, "StorageClass:\t{}", text(&spec["storageClassName"]));
    match volume.deletion_timestamp() {
        Some(_) => line!(out, "Status:\tTerminating"),
        None => line!(out, "Status:\t{}", text(&volume["status"]["phase"])),
    }
    match spec["claimRef"].is_object() {
        true => {
            line!(out, "Claim:\t{}/{}", text(&spec["claimRef"]["namespace"]), text(&spec["claimRef"]["name"]))
        }
        false => line!(out, "Claim:\t"),
    }
    line!(out, "Reclaim Policy:\t{}", text(&spec["persistentVolumeReclaimPolicy"]));
    line!(out, "Access Modes:\t{}", modes(&spec["accessModes"]));
    line!(out, "VolumeMode:\t{}", text(&spec["volumeMode"]));
    line!(out, "Capacity:\t{}", text(&spec["capacity"]["storage"]));
    if spec["nodeAffinity"].is_object() {
        line!(out, "Node Affinity:\t");
        line!(out, "  Required Terms:\t");
        for (index, term) in
            spec.list_at(&["nodeAffinity", "required", "nodeSelectorTerms"]).iter().enumerate()
        {
            let expressions: Vec<String> = term
                .list_at(&["matchExpressions"])
                .iter()
                .map(|e| {
                    format!(
                        "{} {} [{}]",
                        text(&e["key"]),
                        text(&e["operator"]).to_lowercase(),
                        joined(&e["values"], ", ")
                    )
                })
                .collect();
            line!(out, "    Term {index}:\t{}", expressions.join("\n    \t"));
        }
    } else {
        line!(out, "Node Affinity:\t<none>");
    }
    line!(out, "Message:\t{}", text(&volume["status"]["message"]));
    line!(out, "Source:");
    source(out, spec);
}

/// Writes a claim's description.
pub async fn claim(out: &mut String, session: &Session, claim: &Value) -> Result<()> {
    let spec = &claim["spec"];
    name(out, claim);
    line!(out, "StorageClass:\t{}", text(&spec["storageClassName"]));
    match claim.deletion_timestamp() {
        Some(_) => line!(out, "Status:\tTerminating"),
        None => line!(out, "Status:\t{}", text(&claim["status"]["phase"])),
    }
    line!(out, "Volume:\t{}", text(&spec["volumeName"]));
    labels(out, claim);
    annotations(out, claim);
    line!(out, "Finalizers:\t[{}]", claim.finalizers().collect::<Vec<_>>().join(" "));
    line!(out, "Capacity:\t{}", text(&claim["status"]["capacity"]["storage"]));
    line!(out, "Access Modes:\t{}", modes(&claim["status"]["accessModes"]));
    line!(out, "VolumeMode:\t{}", text(&spec["volumeMode"]));
    let found = session.list(&pods(), Some(claim.namespace()), "", "").await.unwrap_or_default();
    let users: Vec<&str> = found
        .iter()
        .filter(|pod| {
            pod.object
                .list_at(&["spec", "volumes"])
                .iter()
                .any(|v| v["persistentVolumeClaim"]["claimName"] == claim.name())
        })
        .map(|pod| pod.name.as_str())
        .collect();
    line!(out, "Used By:\t{}", if users.is_empty() { "<none>".into() } else { users.join("\n\t") });
    Ok(())
}

/// Writes a storage class's description.
pub fn class(out: &mut String, class: &Value) {
    line!(out, "Name:\t{}", class.name());
    let default = class.annotation("storageclass.kubernetes.io/is-default-class") == Some("true");
    line!(out, "IsDefaultClass:\t{}", if default { "Yes" } else { "No" });
    let annotations: Vec<String> = class.annotations().map(|(key, value)| format!("{key}={value}")).collect();
    line!(
        out,
        "Annotations:\t{}",
        if annotations.is_empty() { "<none>".into() } else { annotations.join(",") }
    );
    line!(out, "Provisioner:\t{}", text(&class["provisioner"]));
    line!(out, "Parameters:\t{}", formats::table::join(&class["parameters"]));
    let expansion = &class["allowVolumeExpansion"];
    line!(
        out,
        "AllowVolumeExpansion:\t{}",
        match expansion.as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        }
    );
    line!(out, "MountOptions:\t{}", joined(&class["mountOptions"], ","));
    line!(out, "ReclaimPolicy:\t{}", or_none(&class["reclaimPolicy"]));
    line!(out, "VolumeBindingMode:\t{}", or_none(&class["volumeBindingMode"]));
}
