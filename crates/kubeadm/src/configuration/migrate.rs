//! Documents of `v1beta3` as `v1beta4` has them.

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::v1beta4::API_VERSION;

/// Brings a document of kubeadm's group to the version of today; other documents stay as they are.
pub fn migrate(mut document: Value) -> anyhow::Result<Value> {
    let version = document["apiVersion"].as_str().unwrap_or_default().to_owned();
    match version.strip_prefix("kubeadm.k8s.io/") {
        None | Some("v1beta4") => return Ok(document),
        Some("v1beta3") => {}
        Some(_) => bail!(
            "apiVersion {version:?} is no longer supported; migrate the file with a kubeadm that knows it, to {API_VERSION}"
        ),
    }
    document["apiVersion"] = API_VERSION.into();
    if let Some(fields) = document.as_object_mut() {
        for path in [
            &["apiServer", "extraArgs"][..],
            &["controllerManager", "extraArgs"],
            &["scheduler", "extraArgs"],
            &["etcd", "local", "extraArgs"],
            &["nodeRegistration", "kubeletExtraArgs"],
        ] {
            arguments_as_list(fields, path);
        }
        // It has moved to the timeouts of a machine, which are not of the cluster.
        if let Some(server) = fields.get_mut("apiServer").and_then(Value::as_object_mut) {
            server.remove("timeoutForControlPlane");
        }
        let waited = fields
            .get_mut("discovery")
            .and_then(Value::as_object_mut)
            .and_then(|discovery| discovery.remove("timeout"));
        if let Some(waited) = waited {
            fields.insert("timeouts".into(), json!({ "discovery": waited }));
        }
    }
    Ok(document)
}

fn arguments_as_list(fields: &mut Map<String, Value>, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else { return };
    let Some(value) = fields.get_mut(*first) else { return };
    match value {
        Value::Object(inner) if !rest.is_empty() => arguments_as_list(inner, rest),
        Value::Object(arguments) => {
            *value = arguments.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        }
        _ => {}
    }
}
