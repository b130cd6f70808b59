//! What one object uses, by the names that quotas have for it.

use apimachinery::Quantity;
use apimachinery::quantity::Format;
use pod_strategy::resources::{self, ResourceList, quantity};
use serde_json::Value;
use strategy::read::Read;

const STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";
/// Resources of the core group that quotas count by their bare name.
const COUNTED: [&str; 6] = [
    "configmaps",
    "secrets",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "persistentvolumeclaims",
];

/// What an object uses; empty for a pod that has ended.
pub fn usage(group: &str, resource: &str, object: &Value) -> ResourceList {
    let one = || Quantity::from_value(1, Format::DecimalSi);
    let mut used = ResourceList::new();
    used.insert(count_name(group, resource), one());
    if !group.is_empty() {
        return used;
    }
    if COUNTED.contains(&resource) {
        used.insert(resource.to_owned(), one());
    }
    match resource {
        "pods" => pod(object, &mut used),
        "services" => service(object, &mut used),
        "persistentvolumeclaims" => claim(object, &mut used),
        _ => {}
    }
    used
}

fn count_name(group: &str, resource: &str) -> String {
    if group.is_empty() { format!("count/{resource}") } else { format!("count/{resource}.{group}") }
}

/// Whether a resource's objects can use what a quota names.
pub(super) fn counts(group: &str, resource: &str, name: &str) -> bool {
    if name == count_name(group, resource) {
        return true;
    }
    if !group.is_empty() {
        return false;
    }
    if COUNTED.contains(&resource) && name == resource {
        return true;
    }
    match resource {
        "pods" => name == "pods" || is_compute(name),
        "services" => matches!(name, "services.nodeports" | "services.loadbalancers"),
        "persistentvolumeclaims" => name == "requests.storage" || name.contains(STORAGE_CLASS),
        _ => false,
    }
}

fn is_compute(name: &str) -> bool {
    let (base, prefixed) = match name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")) {
        Some(base) => (base, true),
        None => (name, false),
    };
    matches!(base, "cpu" | "memory" | "ephemeral-storage")
        || base.starts_with("hugepages-")
        || (prefixed && resources::is_extended(base) && name.starts_with("requests."))
}

/// Of the compute resources that a quota names, those that containers leave open: `cpu for: a,b; memory for: a`.
pub(super) fn unspecified(pod: &Value, names: &[&str]) -> String {
    let spec = &pod["spec"];
    let mut missing = Vec::new();
    for name in names.iter().filter(|name| is_compute(name)) {
        // Devices and huge pages need not be asked for; what is not asked for is not used.
        let (list, base) = match name.split_once('.') {
            Some(("limits", base)) => ("limits", base),
            Some(("requests", base)) => ("requests", base),
            _ => ("requests", *name),
        };
        if !matches!(base, "cpu" | "memory") || spec["resources"][list].has(base) {
            continue;
        }
        let mut open: Vec<&str> = spec
            .items("containers")
            .iter()
            .chain(spec.items("initContainers"))
            .filter(|container| !container["resources"][list].has(base))
            .map(|container| container.text("name"))
            .collect();
        if !open.is_empty() {
            open.sort_unstable();
            missing.push(format!("{name} for: {}", open.join(",")));
        }
    }
    missing.sort();
    missing.join("; ")
}

fn pod(pod: &Value, used: &mut ResourceList) {
    // An ended pod stays an object but takes no room on a node.
    if matches!(pod["status"].text("phase"), "Failed" | "Succeeded") {
        return;
    }
    used.insert("pods".to_owned(), Quantity::from_value(1, Format::DecimalSi));
    for (name, amount) in resources::requests(&pod["spec"]) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            used.insert(name.clone(), amount);
        }
        used.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in resources::limits(&pod["spec"]) {
        used.insert(format!("limits.{name}"), amount);
    }
}

fn service(service: &Value, used: &mut ResourceList) {
    let spec = &service["spec"];
    let ports = spec.items("ports").len() as i64;
    let (node_ports, balancers) = match spec.text("type") {
        "NodePort" => (ports, 0),
        "LoadBalancer" if spec.flag("allocateLoadBalancerNodePorts") == Some(false) => {
            let given = spec.items("ports").iter().filter(|port| port.int("nodePort").unwrap_or(0) != 0);
            (given.count() as i64, 1)
        }
        "LoadBalancer" => (ports, 1),
        _ => (0, 0),
    };
    used.insert("services.nodeports".to_owned(), Quantity::from_value(node_ports, Format::DecimalSi));
    used.insert("services.loadbalancers".to_owned(), Quantity::from_value(balancers, Format::DecimalSi));
}

fn claim(claim: &Value, used: &mut ResourceList) {
    let spec = &claim["spec"];
    let class = match spec.text("storageClassName") {
        "" => claim["metadata"]["annotations"].text("volume.beta.kubernetes.io/storage-class"),
        class => class,
    };
    if !class.is_empty() {
        used.insert(
            format!("{class}{STORAGE_CLASS}persistentvolumeclaims"),
            Quantity::from_value(1, Format::DecimalSi),
        );
    }
    if let Some(size) = quantity(&spec["resources"]["requests"]["storage"]) {
        used.insert("requests.storage".to_owned(), size);
        if !class.is_empty() {
            used.insert(format!("{class}{STORAGE_CLASS}requests.storage"), size);
        }
    }
}
