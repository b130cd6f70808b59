//! The group `networking.k8s.io`.

use apimachinery::ObjectExt;
use serde_json::Value;

use super::service::load_balancer;
use crate::Printer;
use crate::cell::{NONE, age, name, selector, strings, text, text_or};
use crate::column::{AGE, NAME, string};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "networking.k8s.io",
        kind: "Ingress",
        columns: &[NAME, string("Class"), string("Hosts"), string("Address"), string("Ports"), AGE],
        cells: |ingress, now| {
            let ports = if ingress.list_at(&["spec", "tls"]).is_empty() { "80" } else { "80, 443" };
            vec![
                name(ingress),
                text_or(ingress, &["spec", "ingressClassName"], NONE).into(),
                hosts(ingress).into(),
                load_balancer(ingress).join(",").into(),
                ports.into(),
                age(ingress, now),
            ]
        },
    },
    Printer {
        group: "networking.k8s.io",
        kind: "IngressClass",
        columns: &[NAME, string("Controller"), string("Parameters"), AGE],
        cells: |class, now| {
            let parameters = match class.at(&["spec", "parameters"]) {
                None => NONE.to_owned(),
                Some(parameters) => {
                    let (kind, name) = (text(parameters, &["kind"]), text(parameters, &["name"]));
                    match parameters.str_at(&["apiGroup"]) {
                        Some(group) => format!("{kind}.{group}/{name}"),
                        None => format!("{kind}/{name}"),
                    }
                }
            };
            vec![name(class), text(class, &["spec", "controller"]).into(), parameters.into(), age(class, now)]
        },
    },
    Printer {
        group: "networking.k8s.io",
        kind: "NetworkPolicy",
        columns: &[NAME, string("Pod-Selector"), AGE],
        cells: |policy, now| {
            vec![name(policy), selector(policy.at(&["spec", "podSelector"])).into(), age(policy, now)]
        },
    },
    Printer {
        group: "networking.k8s.io",
        kind: "ServiceCIDR",
        columns: &[NAME, string("CIDRs"), AGE],
        cells: |cidr, now| {
            vec![name(cidr), strings(cidr, &["spec", "cidrs"]).join(",").into(), age(cidr, now)]
        },
    },
    Printer {
        group: "networking.k8s.io",
        kind: "IPAddress",
        columns: &[NAME, string("ParentRef")],
        cells: |address, _| vec![name(address), parent(address).into()],
    },
];

/// Up to three host names; `*` where a rule goes for all.
fn hosts(ingress: &Value) -> String {
    const MOST: usize = 3;
    let rules = ingress.list_at(&["spec", "rules"]);
    let mut hosts = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= hosts.len() == MOST;
        let host = text(rule, &["host"]);
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    match (hosts.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, true) => format!("{} + {} more...", hosts.join(","), rules.len() - MOST),
        (false, false) => hosts.join(","),
    }
}

fn parent(address: &Value) -> String {
    let Some(parent) = address.at(&["spec", "parentRef"]) else { return NONE.to_owned() };
    let resource = match text(parent, &["group"]) {
        "" => text(parent, &["resource"]).to_owned(),
        group => format!("{}.{group}", text(parent, &["resource"])),
    };
    match text(parent, &["namespace"]) {
        "" => format!("{resource}/{}", text(parent, &["name"])),
        namespace => format!("{resource}/{namespace}/{}", text(parent, &["name"])),
    }
}
