//! What one object uses, by the names that quotas have for it.

use std::collections::BTreeMap;

use apimachinery::quantity::Format;
use apimachinery::{ObjectExt as _, Quantity, time};
use jiff::{SignedDuration, Timestamp};
use pod_strategy::resources::{self, ResourceList, quantity};
use serde_json::Value;
use strategy::read::Read;

const STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";
const DEVICES: &str = ".deviceclass.resource.k8s.io/devices";
/// What a request for all devices counts as: the most that a claim can be given.
const ALL_DEVICES: i64 = 32;
/// Resources of the core group that quotas count by their bare name.
const COUNTED: [&str; 6] = [
    "configmaps",
    "secrets",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "persistentvolumeclaims",
];

fn number(count: i64) -> Quantity {
    Quantity::from_value(count, Format::DecimalSi)
}

/// What an object uses; of a pod that has ended, that it is there.
pub fn usage(group: &str, resource: &str, object: &Value, now: Option<Timestamp>) -> ResourceList {
    let mut used = ResourceList::new();
    used.insert(count_name(group, resource), number(1));
    if group.is_empty() && COUNTED.contains(&resource) {
        used.insert(resource.to_owned(), number(1));
    }
    match (group, resource) {
        ("", "pods") => pod(object, now, &mut used),
        ("", "services") => service(object, &mut used),
        ("", "persistentvolumeclaims") => claim(object, &mut used),
        ("resource.k8s.io", "resourceclaims") => devices(object, &mut used),
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
        return (group, resource) == ("resource.k8s.io", "resourceclaims") && name.ends_with(DEVICES);
    }
    if COUNTED.contains(&resource) && name == resource {
        return true;
    }
    match resource {
        "pods" => name == "pods" || is_compute(name),
        "services" => matches!(name, "services.nodeports" | "services.loadbalancers"),
        "persistentvolumeclaims" => {
            let of_class = name.split_once(STORAGE_CLASS).map(|(_, counted)| counted);
            name == "requests.storage"
                || matches!(of_class, Some("requests.storage" | "persistentvolumeclaims"))
        }
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
    // What the pod asks for as a whole, its containers need not ask for.
    let as_whole = |list: &str| {
        let mut names = spec["resources"].entries(list).map(|(name, _)| name.as_str());
        names.any(|name| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-"))
    };
    if as_whole("requests") || as_whole("limits") {
        return String::new();
    }
    let mut missing = Vec::new();
    for name in names.iter().filter(|name| is_compute(name)) {
        // Devices and huge pages need not be asked for; what is not asked for is not used.
        let (list, base) = match name.split_once('.') {
            Some(("limits", base)) => ("limits", base),
            Some(("requests", base)) => ("requests", base),
            _ => ("requests", *name),
        };
        if !matches!(base, "cpu" | "memory") {
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

/// When a pod that is being deleted is given up for gone: its node may be lost, and its place is needed.
pub(super) fn given_up(pod: &Value) -> Option<Timestamp> {
    let grace = pod["metadata"].int("deletionGracePeriodSeconds")?;
    let deleted = pod.deletion_timestamp().and_then(time::parse)?;
    deleted.checked_add(SignedDuration::from_secs(grace)).ok()
}

fn pod(pod: &Value, now: Option<Timestamp>, used: &mut ResourceList) {
    // An ended pod stays an object but takes no room on a node.
    let is_given_up = || now.is_some_and(|now| given_up(pod).is_some_and(|end| now > end));
    if matches!(pod["status"].text("phase"), "Failed" | "Succeeded") || is_given_up() {
        return;
    }
    used.insert("pods".to_owned(), number(1));
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
    used.insert("services.nodeports".to_owned(), number(node_ports));
    used.insert("services.loadbalancers".to_owned(), number(balancers));
}

fn claim(claim: &Value, used: &mut ResourceList) {
    let spec = &claim["spec"];
    // The annotation is older, and counts before the field.
    let class = match claim["metadata"]["annotations"].text("volume.beta.kubernetes.io/storage-class") {
        "" => spec.text("storageClassName"),
        class => class,
    };
    if !class.is_empty() {
        used.insert(format!("{class}{STORAGE_CLASS}persistentvolumeclaims"), number(1));
    }
    let Some(asked) = quantity(&spec["resources"]["requests"]["storage"]) else { return };
    // A volume that was made larger than is asked for now takes its room.
    let given = quantity(&claim["status"]["allocatedResources"]["storage"]);
    let size = given.filter(|given| *given > asked).unwrap_or(asked);
    let size = if size.is_whole() { size } else { Quantity::from_value(size.value(), size.format()) };
    used.insert("requests.storage".to_owned(), size);
    if !class.is_empty() {
        used.insert(format!("{class}{STORAGE_CLASS}requests.storage"), size);
    }
}

/// Devices by their classes; of alternatives the one that takes most counts.
fn devices(claim: &Value, used: &mut ResourceList) {
    let count = |request: &Value| match request.text("allocationMode") {
        "All" => ALL_DEVICES,
        _ => request.int("count").unwrap_or(1),
    };
    let mut classes: BTreeMap<&str, i64> = BTreeMap::new();
    for request in claim["spec"]["devices"].items("requests") {
        let mut most: BTreeMap<&str, i64> = BTreeMap::new();
        // Before `exactly` there was, its fields stood in the request itself.
        let exactly = if request.has("exactly") { &request["exactly"] } else { request };
        for one in std::iter::once(exactly).chain(request.items("firstAvailable")) {
            let class = one.text("deviceClassName");
            if !class.is_empty() {
                let most = most.entry(class).or_default();
                *most = count(one).max(*most);
            }
        }
        for (class, most) in most {
            let sum = classes.entry(class).or_default();
            *sum = sum.saturating_add(most);
        }
    }
    for (class, sum) in classes {
        used.insert(format!("{class}{DEVICES}"), number(sum));
    }
}
