//! `kubectl cluster-info` and `kubectl cluster-info dump`.

use std::io::IsTerminal;
use std::path::Path;

use apimachinery::object::ObjectExt;
use serde_json::Value;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Session, core};

/// Shows where the cluster's services are.
pub static COMMAND: Command = Command {
    name: "cluster-info",
    short: "Display cluster information",
    long: "Display addresses of the control plane and services with label kubernetes.io/cluster-service=true. To further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.",
    examples: "
# Addresses of the control plane and of cluster services
kubectl cluster-info",
    usage: "cluster-info [flags]",
    subcommands: &[&DUMP],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

static DUMP: Command = Command {
    name: "dump",
    short: "Dump relevant information for debugging and diagnosis",
    examples: "
# Everything of the system and current namespaces, to standard output
kubectl cluster-info dump

# Into files
kubectl cluster-info dump --output-directory=state",
    usage: "dump [flags]",
    flags: &[flag::ALL_NAMESPACES, DUMP_FLAGS],
    run: Some(|invocation| Box::pin(dump(invocation))),
    ..Command::NONE
};

const DUMP_FLAGS: &[Flag] = &[
    Flag::list("namespaces", "Namespaces to dump."),
    Flag::text("output", "json", "json or yaml.").short('o'),
    Flag::text("output-directory", "", "Directory to write files to; '-' or nothing is standard output."),
    Flag::duration("pod-running-timeout", "20s", "How long to wait for at least one pod to run."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let colour = std::io::stdout().is_terminal();
    let line = |name: &str, address: &str| match colour {
        true => outln!("\u{1b}[0;32m{name}\u{1b}[0m is running at \u{1b}[0;33m{address}\u{1b}[0m"),
        false => outln!("{name} is running at {address}"),
    };
    let services = core("services", "service", "Service", true);
    let found =
        session.list(&services, Some("kube-system"), "kubernetes.io/cluster-service=true", "").await?;
    line("Kubernetes control plane", &session.client.server);
    for service in found {
        let object = &service.object;
        let name = object
            .label("kubernetes.io/name")
            .filter(|name| !name.is_empty())
            .unwrap_or(&service.name)
            .to_string();
        line(&name, &address(&session.client.server, object));
    }
    outln!("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.");
    Ok(())
}

fn address(server: &str, service: &Value) -> String {
    let ports = service.list_at(&["spec", "ports"]);
    let port = ports.first().unwrap_or(&Value::Null);
    if let Some(ingress) = service.list_at(&["status", "loadBalancer", "ingress"]).first() {
        let host = ingress["ip"].as_str().or_else(|| ingress["hostname"].as_str()).unwrap_or("");
        let links: Vec<String> = ports.iter().map(|port| format!("http://{host}:{}", port["port"])).collect();
        return links.join(" ");
    }
    let name = port["name"].as_str().unwrap_or("");
    let scheme = if name == "https" || port["port"] == 443 { "https:" } else { "" };
    let name = if name.is_empty() {
        service.name().to_string()
    } else {
        format!("{scheme}{}:{name}", service.name())
    };
    let name = if scheme == "https:" && port["name"].is_null() {
        format!("https:{}:", service.name())
    } else {
        name
    };
    format!("{server}/api/v1/namespaces/{}/services/{name}/proxy", service.namespace())
}

async fn dump(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let directory = invocation.text("output-directory");
    let extension = invocation.text("output");
    let render = |object: &Value| match extension {
        "yaml" => formats::yaml::text(object),
        _ => format!("{}\n", formats::json::text(object)),
    };
    let write = |name: &str, text: &str| -> Result<()> {
        if matches!(directory, "" | "-") {
            out!("{text}");
            return Ok(());
        }
        let path = Path::new(directory).join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
        Ok(())
    };
    let nodes = session.client.get("/api/v1/nodes").await?;
    write(&format!("nodes.{extension}"), &render(&nodes))?;
    let namespaces: Vec<String> = if invocation.is("all-namespaces") {
        let all = session.client.get("/api/v1/namespaces").await?;
        all.list_at(&["items"]).iter().map(|namespace| namespace.name().to_string()).collect()
    } else if !invocation.list("namespaces").is_empty() {
        invocation.list("namespaces").to_vec()
    } else {
        vec!["kube-system".into(), session.namespace.clone()]
    };
    for namespace in namespaces {
        for (root, plural) in [
            ("/api/v1", "events"),
            ("/api/v1", "replicationcontrollers"),
            ("/api/v1", "services"),
            ("/apis/apps/v1", "daemonsets"),
            ("/apis/apps/v1", "deployments"),
            ("/apis/apps/v1", "replicasets"),
            ("/api/v1", "pods"),
        ] {
            let list = session.client.get(&format!("{root}/namespaces/{namespace}/{plural}")).await?;
            write(&format!("{namespace}/{plural}.{extension}"), &render(&list))?;
            if plural != "pods" {
                continue;
            }
            for pod in list.list_at(&["items"]) {
                for container in pod.list_at(&["spec", "containers"]) {
                    let container = container["name"].as_str().unwrap_or("");
                    let heading = format!("{}/{container}", pod.name());
                    let path = format!(
                        "/api/v1/namespaces/{namespace}/pods/{}/log?container={container}",
                        pod.name()
                    );
                    let log = match session.client.raw(http::Method::GET, &path, bytes::Bytes::new()).await {
                        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                        Err(error) => format!("Request log error: {error}\n"),
                    };
                    write(
                        &format!("{namespace}/{}/logs.txt", pod.name()),
                        &format!("==== START logs for container {container} of pod {namespace}/{} ====\n{log}==== END logs for container {container} of pod {namespace}/{} ====\n", pod.name(), pod.name()),
                    )
                    .map_err(|error| Error::message(format!("{heading}: {error}")))?;
                }
            }
        }
    }
    if !matches!(directory, "" | "-") {
        outln!("Cluster info dumped to {directory}");
    }
    Ok(())
}
