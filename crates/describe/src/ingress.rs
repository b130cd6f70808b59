//! `kubectl describe ingress`.

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};

use crate::{annotations, labels, line, or_none, service, text};
use cli_runtime::error::Result;
use cli_runtime::resource::Session;

/// Writes an ingress's description.
pub async fn describe(out: &mut String, session: &Session, ingress: &Value) -> Result<()> {
    let spec = &ingress["spec"];
    line!(out, "Name:\t{}", ingress.name());
    labels(out, ingress);
    line!(out, "Namespace:\t{}", ingress.namespace());
    let addresses: Vec<String> = ingress
        .list_at(&["status", "loadBalancer", "ingress"])
        .iter()
        .map(|entry| if entry["ip"].is_string() { text(&entry["ip"]) } else { text(&entry["hostname"]) })
        .collect();
    line!(out, "Address:\t{}", addresses.join(","));
    line!(out, "Ingress Class:\t{}", or_none(&spec["ingressClassName"]));
    let default = match spec["defaultBackend"].is_object() {
        true => backend(session, ingress, &spec["defaultBackend"]).await?,
        false => "<default>".into(),
    };
    line!(out, "Default backend:\t{default}");
    let tls = ingress.list_at(&["spec", "tls"]);
    if !tls.is_empty() {
        line!(out, "TLS:");
        for entry in tls {
            let hosts: Vec<String> = entry.list_at(&["hosts"]).iter().map(text).collect();
            match text(&entry["secretName"]).as_str() {
                "" => line!(out, "  SNI routes {}", hosts.join(",")),
                secret => line!(out, "  {secret} terminates {}", hosts.join(",")),
            }
        }
    }
    line!(out, "Rules:\n  Host\tPath\tBackends");
    line!(out, "  ----\t----\t--------");
    let rules = ingress.list_at(&["spec", "rules"]);
    for rule in rules {
        let host = if text(&rule["host"]).is_empty() { "*".into() } else { text(&rule["host"]) };
        line!(out, "  {host}\t");
        for path in rule.list_at(&["http", "paths"]) {
            line!(
                out,
                "    \t{} \t{}",
                text(&path["path"]),
                backend(session, ingress, &path["backend"]).await?
            );
        }
    }
    if rules.is_empty() {
        line!(out, "  *\t*\t{default}");
    }
    annotations(out, ingress);
    Ok(())
}

async fn backend(session: &Session, ingress: &Value, backend: &Value) -> Result<String> {
    if backend["resource"].is_object() {
        let resource = &backend["resource"];
        return Ok(format!(
            "APIGroup: {}, Kind: {}, Name: {}",
            or_none(&resource["apiGroup"]),
            text(&resource["kind"]),
            text(&resource["name"])
        ));
    }
    let port = &backend["service"]["port"];
    let shown = if port["name"].is_string() { text(&port["name"]) } else { text(&port["number"]) };
    let name = text(&backend["service"]["name"]);
    let path = format!("/api/v1/namespaces/{}/services/{name}", ingress.namespace());
    let found = match session.client.get(&path).await {
        Err(_) => format!("<error: services \"{name}\" not found>"),
        Ok(object) => {
            let named = object
                .list_at(&["spec", "ports"])
                .iter()
                .find(|entry| entry["port"] == port["number"] || entry["name"] == port["name"]);
            let about = json!({"metadata": {"name": name, "namespace": ingress.namespace()}});
            let slices = service::slices(session, &about).await?;
            service::endpoints(&slices, &named.map_or_else(String::new, |entry| text(&entry["name"])))
        }
    };
    Ok(format!("{name}:{shown} ({found})"))
}
