//! `kubectl create service clusterip|nodeport|loadbalancer|externalname`.

use serde_json::{Value, json};

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};

/// Creates services.
pub static COMMAND: Command = Command {
    name: "service",
    aliases: &["svc"],
    short: "Create a service using a specified subcommand",
    usage: "service [flags]",
    subcommands: &[&CLUSTERIP, &EXTERNALNAME, &LOADBALANCER, &NODEPORT],
    ..Command::NONE
};

const TCP: &[Flag] = &[Flag::list("tcp", "Ports, as <port> or <port>:<targetPort>.")];
const CLUSTERIP_FLAGS: &[Flag] =
    &[Flag::text("clusterip", "", "Address to give the service; 'None' makes it headless.")];
const NODEPORT_FLAGS: &[Flag] = &[Flag::int("node-port", "0", "Port on every node.")];
const EXTERNALNAME_FLAGS: &[Flag] = &[Flag::text("external-name", "", "Name outside the cluster.")];

static CLUSTERIP: Command = Command {
    name: "clusterip",
    short: "Create a ClusterIP service",
    examples: "
# Port 5678 in front of port 8080
kubectl create service clusterip web --tcp=5678:8080

# Without an address
kubectl create service clusterip web --clusterip=\"None\"",
    usage: "clusterip NAME [--tcp=<port>:<targetPort>] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, TCP, CLUSTERIP_FLAGS],
    run: Some(|invocation| Box::pin(run(invocation, "ClusterIP"))),
    ..Command::NONE
};

static NODEPORT: Command = Command {
    name: "nodeport",
    short: "Create a NodePort service",
    examples: "
# Port 8080 on every node's chosen port
kubectl create service nodeport web --tcp=5678:8080",
    usage: "nodeport NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, TCP, NODEPORT_FLAGS],
    run: Some(|invocation| Box::pin(run(invocation, "NodePort"))),
    ..Command::NONE
};

static LOADBALANCER: Command = Command {
    name: "loadbalancer",
    short: "Create a LoadBalancer service",
    examples: "
# With an address outside the cluster
kubectl create service loadbalancer web --tcp=5678:8080",
    usage: "loadbalancer NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, TCP],
    run: Some(|invocation| Box::pin(run(invocation, "LoadBalancer"))),
    ..Command::NONE
};

static EXTERNALNAME: Command = Command {
    name: "externalname",
    short: "Create an ExternalName service",
    examples: "
# Another name for a host
kubectl create service externalname db --external-name db.example.com",
    usage: "externalname NAME --external-name external.name [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, TCP, EXTERNALNAME_FLAGS],
    run: Some(|invocation| Box::pin(run(invocation, "ExternalName"))),
    ..Command::NONE
};

async fn run(invocation: Invocation, kind: &'static str) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    if kind == "ExternalName" {
        invocation.require(&["external-name"])?;
    }
    let labels = json!({"app": name});
    let mut spec = json!({"selector": labels, "type": kind});
    let mut ports = Vec::new();
    for text in invocation.list("tcp") {
        let mut port = parse_port(text)?;
        if kind == "NodePort" && invocation.int("node-port") > 0 {
            port["nodePort"] = invocation.int("node-port").into();
        }
        ports.push(port);
    }
    let headless = invocation.text("clusterip") == "None";
    if ports.is_empty() && kind != "ExternalName" && !headless {
        return Err(Error::message("at least one tcp port specifier must be provided"));
    }
    if !ports.is_empty() {
        spec["ports"] = ports.into();
    }
    if !invocation.text("clusterip").is_empty() {
        spec["clusterIP"] = invocation.text("clusterip").into();
    }
    if kind == "ExternalName" {
        spec["externalName"] = invocation.text("external-name").into();
    }
    let object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
        "spec": spec, "status": {"loadBalancer": {}},
    });
    generated(&invocation, object, "services", true, &format!("{kind} service:")).await
}

fn parse_port(text: &str) -> Result<Value> {
    let (port, target) = text.split_once(':').unwrap_or((text, text));
    let number: u16 = port
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Error::message(format!("invalid port number: {port}")))?;
    Ok(
        json!({"name": text.replace(':', "-"), "port": number, "protocol": "TCP", "targetPort": parse_target_port(target)}),
    )
}

/// A target port is a number, or the name of a container's port.
pub fn parse_target_port(text: &str) -> Value {
    text.parse::<u16>().map_or_else(|_| text.into(), Value::from)
}
