//! `kubectl describe service`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, joined, labels, line, name, text};
use cli_runtime::client::with_query;
use cli_runtime::error::Result;
use cli_runtime::resource::Session;
use formats::table::join;

/// Writes a service's description.
pub async fn describe(out: &mut String, session: &Session, service: &Value) -> Result<()> {
    let spec = &service["spec"];
    name(out, service);
    labels(out, service);
    annotations(out, service);
    line!(out, "Selector:\t{}", join(&spec["selector"]));
    line!(out, "Type:\t{}", text(&spec["type"]));
    if !text(&spec["ipFamilyPolicy"]).is_empty() {
        line!(out, "IP Family Policy:\t{}", text(&spec["ipFamilyPolicy"]));
    }
    line!(out, "IP Families:\t{}", joined(&spec["ipFamilies"], ","));
    line!(out, "IP:\t{}", text(&spec["clusterIP"]));
    line!(out, "IPs:\t{}", joined(&spec["clusterIPs"], ","));
    if spec["externalIPs"].as_array().is_some_and(|list| !list.is_empty()) {
        line!(out, "External IPs:\t{}", joined(&spec["externalIPs"], ","));
    }
    if !text(&spec["loadBalancerIP"]).is_empty() {
        line!(out, "Desired LoadBalancer IP:\t{}", text(&spec["loadBalancerIP"]));
    }
    if !text(&spec["externalName"]).is_empty() {
        line!(out, "External Name:\t{}", text(&spec["externalName"]));
    }
    let ingress = service.list_at(&["status", "loadBalancer", "ingress"]);
    if !ingress.is_empty() {
        let addresses: Vec<String> = ingress
            .iter()
            .map(|entry| {
                if entry["ip"].is_string() {
                    format!("{} (VIP)", text(&entry["ip"]))
                } else {
                    text(&entry["hostname"])
                }
            })
            .collect();
        line!(out, "LoadBalancer Ingress:\t{}", addresses.join(", "));
    }
    let slices = slices(session, service).await?;
    for port in service.list_at(&["spec", "ports"]) {
        let name = match text(&port["name"]).as_str() {
            "" => "<unset>".to_string(),
            name => name.to_string(),
        };
        let protocol = text(&port["protocol"]);
        line!(out, "Port:\t{name}\t{}/{protocol}", port["port"]);
        line!(out, "TargetPort:\t{}/{protocol}", text(&port["targetPort"]));
        if let Some(number) = port["nodePort"].as_i64().filter(|number| *number > 0) {
            line!(out, "NodePort:\t{name}\t{number}/{protocol}");
        }
        line!(out, "Endpoints:\t{}", endpoints(&slices, &text(&port["name"])));
    }
    line!(out, "Session Affinity:\t{}", text(&spec["sessionAffinity"]));
    for (title, field) in [
        ("External Traffic Policy", "externalTrafficPolicy"),
        ("Internal Traffic Policy", "internalTrafficPolicy"),
        ("Traffic Distribution", "trafficDistribution"),
    ] {
        if !text(&spec[field]).is_empty() {
            line!(out, "{title}:\t{}", text(&spec[field]));
        }
    }
    if let Some(port) = spec["healthCheckNodePort"].as_i64().filter(|port| *port > 0) {
        line!(out, "HealthCheck NodePort:\t{port}");
    }
    if spec["loadBalancerSourceRanges"].as_array().is_some_and(|list| !list.is_empty()) {
        line!(out, "LoadBalancer Source Ranges:\t{}", joined(&spec["loadBalancerSourceRanges"], ","));
    }
    Ok(())
}

/// The endpoint slices of a service.
pub async fn slices(session: &Session, service: &Value) -> Result<Vec<Value>> {
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", service.namespace());
    let query = format!("kubernetes.io/service-name={}", service.name());
    let list = session.client.get(&with_query(&path, &[("labelSelector", &query)])).await;
    Ok(list.map(|list| list["items"].as_array().cloned().unwrap_or_default()).unwrap_or_default())
}

/// The ready addresses behind a port, at most three of them by name.
pub fn endpoints(slices: &[Value], port: &str) -> String {
    let mut found = Vec::new();
    for slice in slices {
        for endpoint in slice.list_at(&["endpoints"]) {
            if endpoint["conditions"]["ready"] == false {
                continue;
            }
            for number in slice.list_at(&["ports"]).iter().filter(|entry| text(&entry["name"]) == port) {
                for address in endpoint.list_at(&["addresses"]) {
                    let address = text(address);
                    found.push(if address.contains(':') {
                        format!("[{address}]:{}", number["port"])
                    } else {
                        format!("{address}:{}", number["port"])
                    });
                }
            }
        }
    }
    match found.len() {
        0 => String::new(),
        1..=3 => found.join(","),
        count => format!("{} + {} more...", found[..3].join(","), count - 3),
    }
}
