//! Ports of a pod's containers that get in each other's way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;
use strategy::read::Read;

/// Warns of ports that are named twice, overlap, or whose addresses leave open which of them is meant.
pub(super) fn of(spec: &Value, path: &str, found: &mut Vec<String>) {
    let mut seen: Vec<(String, &Value)> = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in spec.items(list).iter().enumerate() {
            for (at, port) in container.items("ports").iter().enumerate() {
                let path = format!("{path}.{list}[{index}].ports[{at}]");
                if !port.text("hostIP").is_empty() && host_port(port) == 0 {
                    found.push(format!("{path}: hostIP set without hostPort: {}", shown(port)));
                }
                for (other_path, other) in seen.iter().filter(|(_, other)| key(other) == key(port)) {
                    if let Some(what) = clash(port, other) {
                        found.push(format!("{path}: {what} port definition with {other_path}"));
                    }
                }
                seen.push((path, port));
            }
        }
    }
    let mut names: HashMap<&str, &str> = HashMap::new();
    for (path, port) in seen.iter().filter(|(_, port)| !port.text("name").is_empty()) {
        let name = port.text("name");
        match names.entry(name) {
            Entry::Vacant(place) => {
                place.insert(path);
            }
            Entry::Occupied(first) => {
                let first = first.get();
                found.push(format!(
                    "{path}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}"
                ));
            }
        }
    }
}

fn key(port: &Value) -> (i64, &str) {
    (port.int("containerPort").unwrap_or(0), port.text("protocol"))
}

fn host_port(port: &Value) -> i64 {
    port.int("hostPort").unwrap_or(0)
}

/// How two definitions of one port get in each other's way.
fn clash(port: &Value, other: &Value) -> Option<&'static str> {
    let addresses = (port.text("hostIP"), other.text("hostIP"));
    let ports = (host_port(port), host_port(other));
    if addresses.0 == addresses.1 && ports.0 == ports.1 {
        return Some("duplicate");
    }
    if ports.0 == 0 || ports.1 == 0 {
        return Some("overlapping");
    }
    let one_is_open = addresses.0.is_empty() != addresses.1.is_empty();
    (ports.0 == ports.1 && one_is_open).then_some("dangerously ambiguous")
}

/// A port in the form in which upstream prints it.
fn shown(port: &Value) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.text("name"),
        host_port(port),
        port.int("containerPort").unwrap_or(0),
        port.text("protocol"),
        port.text("hostIP"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_port_of_a_name_is_the_one_that_is_found_by_it() {
        let port = |name: &str, number: i64| serde_json::json!({"name": name, "containerPort": number});
        let spec = json!({"initContainers": [{"ports": [port("a", 1)]}],
            "containers": [{"ports": [port("b", 2), port("a", 3), port("", 4)]}, {"ports": [port("a", 5), port("", 6)]}]});
        let mut found = Vec::new();
        super::of(&spec, "spec", &mut found);
        let expected = ["spec.containers[0].ports[1]", "spec.containers[1].ports[0]"].map(|path| {
            let first = "spec.initContainers[0].ports[0]";
            format!("{path}: duplicate port name \"a\" with {first}, services and probes that select ports by name will use {first}")
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn ports_that_clash_are_told_of() {
        let of = |first: Value, second: Value| {
            let mut ports = [first, second];
            for port in &mut ports {
                port["containerPort"] = json!(80);
                port["protocol"] = json!("TCP");
            }
            let [first, second] = ports;
            let spec = json!({"containers": [{"ports": [first]}, {"ports": [second]}]});
            let mut found = Vec::new();
            super::of(&spec, "spec", &mut found);
            found.join("|")
        };
        let with = |what: &str| {
            format!("spec.containers[1].ports[0]: {what} port definition with spec.containers[0].ports[0]")
        };
        assert_eq!(of(json!({}), json!({})), with("duplicate"));
        assert_eq!(of(json!({"hostPort": 1}), json!({})), with("overlapping"));
        assert_eq!(of(json!({"hostPort": 1}), json!({"hostPort": 2})), "");
        assert_eq!(
            of(json!({"hostPort": 1, "hostIP": "1.1.1.1"}), json!({"hostPort": 1})),
            with("dangerously ambiguous")
        );
        assert_eq!(
            of(json!({"hostPort": 1}), json!({"hostIP": "1.1.1.1", "name": "w"})),
            format!(
                "spec.containers[1].ports[0]: hostIP set without hostPort: {{Name:w HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}}|{}",
                with("overlapping")
            )
        );
    }
}
