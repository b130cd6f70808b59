//! `kubectl create ingress`.

use serde_json::{Value, json};

use crate::{MANAGER, generated, parse_target_port};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};

/// Creates an ingress.
pub static COMMAND: Command = Command {
    name: "ingress",
    aliases: &["ing"],
    short: "Create an ingress with the specified name",
    examples: "
# One host and path in front of a service, with a certificate
kubectl create ingress web --rule=\"example.com/app*=web:80,tls=web-cert\"

# A class, and a service for everything else
kubectl create ingress web --class=public --default-backend=web:80",
    usage: "ingress NAME --rule=host/path=service:port[,tls[=secret]] ",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::array("annotation", "Annotation of the ingress (key=value)."),
    Flag::text("class", "", "Ingress class."),
    Flag::text("default-backend", "", "Service and port for what no rule takes (service:port)."),
    Flag::array("rule", "host/path=service:port[,tls[=secret]]; a path that ends with '*' means a prefix."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    if invocation.list("rule").is_empty() && invocation.text("default-backend").is_empty() {
        return Err(Error::message(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
        ));
    }
    let mut spec = json!({});
    if !invocation.text("class").is_empty() {
        spec["ingressClassName"] = invocation.text("class").into();
    }
    if !invocation.text("default-backend").is_empty() {
        spec["defaultBackend"] = backend(invocation.text("default-backend"))?;
    }
    let mut rules: Vec<Value> = Vec::new();
    let mut tls: Vec<Value> = Vec::new();
    for text in invocation.list("rule") {
        let rule = Rule::parse(text)?;
        let path = json!({"path": rule.path, "pathType": rule.path_type, "backend": backend(rule.backend)?});
        match rules.iter_mut().find(|known| known["host"].as_str().unwrap_or("") == rule.host) {
            Some(known) => {
                known["http"]["paths"].as_array_mut().into_iter().for_each(|paths| paths.push(path.clone()));
            }
            None => {
                let mut entry = json!({"http": {"paths": [path]}});
                if !rule.host.is_empty() {
                    entry["host"] = rule.host.into();
                }
                rules.push(entry);
            }
        }
        if let Some(secret) = rule.tls {
            let mut entry = json!({});
            if !rule.host.is_empty() {
                entry["hosts"] = json!([rule.host]);
            }
            if !secret.is_empty() {
                entry["secretName"] = secret.into();
            }
            if !tls.contains(&entry) {
                tls.push(entry);
            }
        }
    }
    if !rules.is_empty() {
        spec["rules"] = rules.into();
    }
    if !tls.is_empty() {
        spec["tls"] = tls.into();
    }
    let mut object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
        "spec": spec, "status": {"loadBalancer": {}}});
    for annotation in invocation.list("annotation") {
        let (key, value) = annotation.split_once('=').unwrap_or((annotation, ""));
        object["metadata"]["annotations"][key] = value.into();
    }
    generated(&invocation, object, "ingresses", true, "ingress:").await
}

struct Rule<'a> {
    host: &'a str,
    path: String,
    path_type: &'static str,
    backend: &'a str,
    tls: Option<&'a str>,
}

impl<'a> Rule<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let wrong = || {
            Error::message(format!(
                "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
            ))
        };
        let (main, tls) = match text.split_once(",tls") {
            Some((main, "")) => (main, Some("")),
            Some((main, secret)) => (main, Some(secret.strip_prefix('=').ok_or_else(wrong)?)),
            None => (text, None),
        };
        let (place, backend) = main.rsplit_once('=').ok_or_else(wrong)?;
        let (host, path) = place.split_once('/').ok_or_else(wrong)?;
        let (path, path_type) = match path.strip_suffix('*') {
            Some(prefix) => (prefix, "Prefix"),
            None => (path, "Exact"),
        };
        Ok(Self { host, path: format!("/{path}"), path_type, backend, tls })
    }
}

fn backend(text: &str) -> Result<Value> {
    let (service, port) = text.split_once(':').ok_or_else(|| {
        Error::message(format!("backend {text} should be in format servicename:serviceport"))
    })?;
    let port = match parse_target_port(port) {
        Value::String(name) => json!({"name": name}),
        number => json!({"number": number}),
    };
    Ok(json!({"service": {"name": service, "port": port}}))
}
