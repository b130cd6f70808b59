//! What an update of a service keeps of what the server gave it, and what a change of type drops.

use serde_json::{Value, json};

use super::{needs_cluster_ip, needs_health_check_port, needs_node_ports};
use strategy::read::{Read, same};
use strategy::write;

/// Makes `clusterIPs` follow `clusterIP` where a client only knows the latter.
pub(super) fn normalise_cluster_ips(spec: &mut Value, old: Option<&Value>) {
    let address = spec.text("clusterIP").to_owned();
    let follows = match old {
        None => spec.items("clusterIPs").is_empty() && !address.is_empty(),
        Some(old) => {
            spec.text("clusterIP") != old.text("clusterIP") && same(&spec["clusterIPs"], &old["clusterIPs"])
        }
    };
    if follows {
        if address.is_empty() {
            write::remove(spec, "clusterIPs");
        } else {
            write::set(spec, "clusterIPs", json!([address]));
        }
    }
}

/// Puts back addresses and ports that the update leaves out: clients send what they wrote, not what they got.
pub(super) fn keep_allocated(spec: &mut Value, old: &Value) {
    if needs_cluster_ip(spec) && needs_cluster_ip(old) {
        if spec.text("clusterIP").is_empty() {
            write::copy(spec, "clusterIP", old);
        }
        if spec.items("clusterIPs").is_empty() && spec.text("clusterIP") == old.text("clusterIP") {
            write::copy(spec, "clusterIPs", old);
        }
        for key in ["ipFamilies", "ipFamilyPolicy"] {
            if !spec.has(key) {
                write::copy(spec, key, old);
            }
        }
    }
    if needs_node_ports(spec) && needs_node_ports(old) {
        let mut used: Vec<i64> = spec
            .items("ports")
            .iter()
            .filter_map(|port| port.int("nodePort"))
            .filter(|port| *port != 0)
            .collect();
        for port in write::items(spec, "ports") {
            if port.int("nodePort").unwrap_or(0) != 0 {
                continue;
            }
            let before = old.items("ports").iter().find(|before| {
                before.text("protocol") == port.text("protocol") && before.int("port") == port.int("port")
            });
            if let Some(number) = before.and_then(|before| before.int("nodePort"))
                && number != 0
                && !used.contains(&number)
            {
                used.push(number);
                write::set(port, "nodePort", number);
            }
        }
    }
    if needs_health_check_port(spec)
        && needs_health_check_port(old)
        && spec.int("healthCheckNodePort").unwrap_or(0) == 0
    {
        write::copy(spec, "healthCheckNodePort", old);
    }
}

/// Drops what the old type had and the new one has not, where the client did not change it by itself.
pub(super) fn drop_for_type(spec: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && !needs_cluster_ip(spec) {
        drop_unchanged(
            spec,
            old,
            &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"],
        );
    }
    if needs_node_ports(old) && !needs_node_ports(spec) && same_node_ports(spec, old) {
        for port in write::items(spec, "ports") {
            write::remove(port, "nodePort");
        }
    }
    if needs_health_check_port(old) && !needs_health_check_port(spec) {
        drop_unchanged(spec, old, &["healthCheckNodePort"]);
    }
    if old.text("type") == "LoadBalancer" && spec.text("type") != "LoadBalancer" {
        drop_unchanged(spec, old, &["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    let external = |spec: &Value| {
        matches!(spec.text("type"), "NodePort" | "LoadBalancer")
            || (spec.text("type") == "ClusterIP" && !spec.items("externalIPs").is_empty())
    };
    if external(old) && !external(spec) {
        drop_unchanged(spec, old, &["externalTrafficPolicy"]);
    }
}

fn drop_unchanged(spec: &mut Value, old: &Value, keys: &[&str]) {
    for key in keys {
        if same(&spec[*key], &old[*key]) {
            write::remove(spec, key);
        }
    }
}

fn same_node_ports(spec: &Value, old: &Value) -> bool {
    let ports = |spec: &Value| {
        let mut ports: Vec<i64> =
            spec.items("ports").iter().filter_map(|port| port.int("nodePort")).collect();
        ports.sort_unstable();
        ports
    };
    // Ports may have been added or removed; what matters is that none was asked for anew.
    ports(spec).iter().all(|port| ports(old).contains(port))
}
