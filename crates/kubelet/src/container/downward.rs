//! What a pod may learn about itself: its fields, and the amounts its containers asked for.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::pod;

/// Facts about the pod that its spec does not hold.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The pod's addresses.
    pub pod_ips: Vec<String>,
    /// The node's addresses.
    pub host_ips: Vec<String>,
    /// What the node can give, for containers without limits.
    pub allocatable: BTreeMap<String, Quantity>,
}

/// Reads a field of a pod by its path. The message of an error is upstream's.
pub fn field(pod: &Pod, path: &str, facts: &Facts) -> Result<String, String> {
    let metadata = &pod.metadata;
    if let Some(key) = subscript(path, "metadata.annotations") {
        return Ok(metadata.annotations.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    if let Some(key) = subscript(path, "metadata.labels") {
        return Ok(metadata.labels.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    let spec = pod::spec(pod);
    Ok(match path {
        "metadata.name" => pod::name(pod).to_owned(),
        "metadata.namespace" => pod::namespace(pod).to_owned(),
        "metadata.uid" => pod::uid(pod).to_owned(),
        "metadata.labels" => lines(metadata.labels.as_ref()),
        "metadata.annotations" => lines(metadata.annotations.as_ref()),
        "spec.nodeName" => spec.node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => facts.host_ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => facts.host_ips.join(","),
        "status.podIP" => facts.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => facts.pod_ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

fn subscript<'a>(path: &'a str, field: &str) -> Option<&'a str> {
    path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']")
}

/// Labels or annotations as a file: one `key="value"` a line, in order.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quote(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Quotes as Go's `%q`.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            control if control.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads an amount a container asked for or may use, counted in the divisor and rounded up.
pub fn resource(
    pod: &Pod,
    selector: &ResourceFieldSelector,
    own: Option<&Container>,
    facts: &Facts,
) -> Result<String, String> {
    let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let found = named.and_then(|name| pod::container(pod, name)).map(|(_, container)| container);
    let container = match (named, &found, own) {
        (Some(name), None, _) => return Err(format!("container {name} not found")),
        (Some(_), Some(found), _) => found,
        (None, _, Some(own)) => own,
        (None, _, None) => return Err("a containerName is required".to_owned()),
    };
    let Some((kind, resource)) = selector.resource.split_once('.') else {
        return Err(format!("unsupported container resource : {}", selector.resource));
    };
    let resources = container.resources.as_ref();
    let listed = match kind {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()),
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    let amount =
        listed.and_then(|list| list.get(resource)).and_then(|amount| amount.0.parse::<Quantity>().ok());
    // Without a limit the container may use all that the node gives.
    let amount = match (amount, kind) {
        (Some(amount), _) => amount,
        (None, "limits") => facts.allocatable.get(resource).copied().unwrap_or(Quantity::ZERO),
        (None, _) => Quantity::ZERO,
    };
    let divisor = selector.divisor.as_ref().and_then(|divisor| divisor.0.parse::<Quantity>().ok());
    let divisor = divisor.filter(|divisor| !divisor.is_zero());
    let (amount, divisor) = match resource {
        "cpu" => (amount.milli_value(), divisor.map_or(1000, |divisor| divisor.milli_value())),
        _ => (amount.value(), divisor.map_or(1, |divisor| divisor.value())),
    };
    let divisor = divisor.max(1);
    let up = amount / divisor + i64::from(amount % divisor > 0);
    Ok(up.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "1\n\"x\""}},
            "spec": {"nodeName": "node", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "100Mi"}, "requests": {"cpu": "250m"}}},
            ]},
        }))
        .unwrap()
    }

    fn facts() -> Facts {
        Facts {
            pod_ips: vec!["10.0.0.1".into(), "fd00::1".into()],
            host_ips: vec!["192.168.1.10".into()],
            allocatable: BTreeMap::from([("cpu".into(), "4".parse().unwrap())]),
        }
    }

    #[test]
    fn fields() {
        for (path, expected) in [
            ("metadata.name", "p"),
            ("metadata.labels['b']", "2"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "a=\"1\\n\\\"x\\\"\"\nb=\"2\""),
            ("spec.nodeName", "node"),
            ("status.podIP", "10.0.0.1"),
            ("status.podIPs", "10.0.0.1,fd00::1"),
            ("status.hostIP", "192.168.1.10"),
        ] {
            assert_eq!(field(&pod(), path, &facts()).unwrap(), expected, "{path}");
        }
        assert_eq!(field(&pod(), "spec.x", &facts()).unwrap_err(), "unsupported fieldPath: spec.x");
    }

    #[test]
    fn amounts_are_rounded_up_to_the_divisor() {
        let read = |name: &str, divisor: &str| {
            let selector: ResourceFieldSelector =
                serde_json::from_value(json!({"containerName": "c", "resource": name, "divisor": divisor}))
                    .unwrap();
            resource(&pod(), &selector, None, &facts()).unwrap()
        };
        assert_eq!(read("limits.cpu", "0"), "2");
        assert_eq!(read("limits.cpu", "1m"), "1500");
        assert_eq!(read("requests.cpu", "1"), "1");
        assert_eq!(read("limits.memory", "1Mi"), "100");
        assert_eq!(read("limits.memory", "0"), "104857600");
        assert_eq!(read("requests.memory", "1"), "0");
    }
}
