//! Services.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, UNKNOWN, age, labels, name, number, strings, text};
use crate::column::{AGE, NAME, string, wide};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "",
    kind: "Service",
    columns: &[
        NAME,
        string("Type"),
        string("Cluster-IP"),
        string("External-IP"),
        string("Port(s)"),
        AGE,
        wide("Selector"),
    ],
    cells,
}];

fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let addresses = strings(service, &["spec", "clusterIPs"]);
    vec![
        name(service),
        text(service, &["spec", "type"]).into(),
        addresses.first().copied().unwrap_or(NONE).into(),
        external(service).into(),
        ports(service).into(),
        age(service, now),
        labels(service.map_at(&["spec", "selector"])).into(),
    ]
}

fn external(service: &Value) -> String {
    let fixed = strings(service, &["spec", "externalIPs"]);
    let some = |addresses: Vec<&str>, none: &str| match addresses.is_empty() {
        true => none.to_owned(),
        false => addresses.join(","),
    };
    match text(service, &["spec", "type"]) {
        "ClusterIP" | "NodePort" => some(fixed, NONE),
        "LoadBalancer" => some([load_balancer(service), fixed].concat(), "<pending>"),
        "ExternalName" => text(service, &["spec", "externalName"]).to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

/// Addresses of a load balancer, of a service or an ingress.
pub(super) fn load_balancer(object: &Value) -> Vec<&str> {
    object
        .list_at(&["status", "loadBalancer", "ingress"])
        .iter()
        .map(|ingress| match text(ingress, &["ip"]) {
            "" => text(ingress, &["hostname"]),
            address => address,
        })
        .filter(|address| !address.is_empty())
        .collect()
}

fn ports(service: &Value) -> String {
    let ports: Vec<String> = service
        .list_at(&["spec", "ports"])
        .iter()
        .map(|port| {
            let (number_of, protocol) = (number(port, &["port"]), text(port, &["protocol"]));
            match number(port, &["nodePort"]) {
                0 => format!("{number_of}/{protocol}"),
                node_port => format!("{number_of}:{node_port}/{protocol}"),
            }
        })
        .collect();
    if ports.is_empty() { NONE.to_owned() } else { ports.join(",") }
}
