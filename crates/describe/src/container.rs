//! Containers in a description: their definition and, for pods, their state.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{line, text, time};

/// Writes a section of containers.
pub fn section(out: &mut String, title: &str, containers: &[Value], statuses: &[Value], indent: &str) {
    if containers.is_empty() {
        return;
    }
    line!(out, "{indent}{title}:");
    for container in containers {
        let status = statuses.iter().find(|status| status["name"] == container["name"]);
        one(out, container, status, indent);
    }
}

fn one(out: &mut String, container: &Value, status: Option<&Value>, outer: &str) {
    // In a pod template the name stands one column further in; the fields stand where they always do.
    let indent = "  ".to_string();
    line!(out, "  {}{}:", if outer.is_empty() { "" } else { " " }, text(&container["name"]));
    let field = |out: &mut String, name: &str, value: &str| line!(out, "{indent}  {name}:\t{value}");
    if let Some(status) = status {
        field(out, "Container ID", &text(&status["containerID"]));
    }
    field(out, "Image", &text(&container["image"]));
    if let Some(status) = status {
        field(out, "Image ID", &text(&status["imageID"]));
    }
    let ports = container.list_at(&["ports"]);
    let join = |render: fn(&Value) -> String| {
        let shown: Vec<String> = ports.iter().map(render).collect();
        if shown.is_empty() { "<none>".to_string() } else { shown.join(", ") }
    };
    let many = if ports.len() > 1 { "s" } else { "" };
    field(
        out,
        &format!("Port{many}"),
        &join(|port| {
            let number = format!("{}/{}", port["containerPort"], port["protocol"].as_str().unwrap_or("TCP"));
            match port["name"].as_str().unwrap_or("") {
                "" => number,
                name => format!("{number} ({name})"),
            }
        }),
    );
    field(
        out,
        &format!("Host Port{many}"),
        &join(|port| {
            format!(
                "{}/{}",
                port["hostPort"].as_i64().unwrap_or(0),
                port["protocol"].as_str().unwrap_or("TCP")
            )
        }),
    );
    if !container["securityContext"]["seccompProfile"].is_null() {
        field(out, "SeccompProfile", &text(&container["securityContext"]["seccompProfile"]["type"]));
    }
    for (title, name) in [("Command", "command"), ("Args", "args")] {
        let words = container.list_at(&[name]);
        if !words.is_empty() {
            line!(out, "{indent}  {title}:");
            for word in words {
                for part in text(word).lines() {
                    line!(out, "{indent}    {part}");
                }
            }
        }
    }
    if let Some(status) = status {
        state(out, "State", &status["state"], &indent);
        if status["lastState"].as_object().is_some_and(|state| !state.is_empty()) {
            state(out, "Last State", &status["lastState"], &indent);
        }
        field(out, "Ready", if status["ready"] == true { "True" } else { "False" });
        field(out, "Restart Count", &status["restartCount"].as_i64().unwrap_or(0).to_string());
    }
    for (title, name) in [("Limits", "limits"), ("Requests", "requests")] {
        if let Some(quantities) = container["resources"][name].as_object().filter(|map| !map.is_empty()) {
            line!(out, "{indent}  {title}:");
            for (resource, quantity) in quantities {
                line!(out, "{indent}    {resource}:\t{}", text(quantity));
            }
        }
    }
    for (title, name) in
        [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
    {
        if container[name].is_object() {
            field(out, title, &probe(&container[name]));
        }
    }
    environment(out, container, &indent);
    let mounts = container.list_at(&["volumeMounts"]);
    if mounts.is_empty() {
        field(out, "Mounts", "<none>");
    } else {
        line!(out, "{indent}  Mounts:");
        let mut sorted: Vec<&Value> = mounts.iter().collect();
        sorted.sort_by_key(|mount| text(&mount["mountPath"]));
        for mount in sorted {
            let mut flags = vec![if mount["readOnly"] == true { "ro" } else { "rw" }.to_string()];
            if !text(&mount["subPath"]).is_empty() {
                flags.push(format!("path=\"{}\"", text(&mount["subPath"])));
            }
            line!(
                out,
                "{indent}    {} from {} ({})",
                text(&mount["mountPath"]),
                text(&mount["name"]),
                flags.join(",")
            );
        }
    }
}

fn environment(out: &mut String, container: &Value, indent: &str) {
    let from = container.list_at(&["envFrom"]);
    if !from.is_empty() {
        line!(out, "{indent}  Environment Variables from:");
        for source in from {
            let (kind, reference) = match source["configMapRef"].is_object() {
                true => ("ConfigMap", &source["configMapRef"]),
                false => ("Secret", &source["secretRef"]),
            };
            let prefix = match source["prefix"].as_str().unwrap_or("") {
                "" => String::new(),
                prefix => format!(" with prefix '{prefix}'"),
            };
            line!(
                out,
                "{indent}    {}\t{kind}{prefix}\tOptional: {}",
                text(&reference["name"]),
                reference["optional"] == true
            );
        }
    }
    let variables = container.list_at(&["env"]);
    if variables.is_empty() {
        line!(out, "{indent}  Environment:\t<none>");
        return;
    }
    line!(out, "{indent}  Environment:");
    for variable in variables {
        let name = text(&variable["name"]);
        let source = &variable["valueFrom"];
        let value = if let Some(field) = source["fieldRef"].as_object() {
            format!(" ({}:{})", field.get("apiVersion").map_or("v1".into(), text), text(&field["fieldPath"]))
        } else if source["resourceFieldRef"].is_object() {
            format!(" ({})", text(&source["resourceFieldRef"]["resource"]))
        } else if source["secretKeyRef"].is_object() {
            let key = &source["secretKeyRef"];
            format!(
                "<set to the key '{}' in secret '{}'>\tOptional: {}",
                text(&key["key"]),
                text(&key["name"]),
                key["optional"] == true
            )
        } else if source["configMapKeyRef"].is_object() {
            let key = &source["configMapKeyRef"];
            format!(
                "<set to the key '{}' of config map '{}'>\tOptional: {}",
                text(&key["key"]),
                text(&key["name"]),
                key["optional"] == true
            )
        } else {
            let value = text(&variable["value"]);
            let mut lines = value.split('\n');
            line!(out, "{indent}    {name}:\t{}", lines.next().unwrap_or(""));
            for more in lines {
                line!(out, "{indent}      \t{more}");
            }
            continue;
        };
        line!(out, "{indent}    {name}:\t{value}");
    }
}

fn state(out: &mut String, title: &str, state: &Value, indent: &str) {
    let at = |out: &mut String, name: &str, value: String| {
        line!(out, "{indent}    {name}:\t{value}");
    };
    if state["running"].is_object() {
        line!(out, "{indent}  {title}:\tRunning");
        at(out, "Started", time(&state["running"]["startedAt"]));
    } else if state["waiting"].is_object() {
        line!(out, "{indent}  {title}:\tWaiting");
        if !text(&state["waiting"]["reason"]).is_empty() {
            at(out, "Reason", text(&state["waiting"]["reason"]));
        }
    } else if state["terminated"].is_object() {
        let ended = &state["terminated"];
        line!(out, "{indent}  {title}:\tTerminated");
        if !text(&ended["reason"]).is_empty() {
            at(out, "Reason", text(&ended["reason"]));
        }
        if !text(&ended["message"]).is_empty() {
            at(out, "Message", text(&ended["message"]));
        }
        at(out, "Exit Code", ended["exitCode"].as_i64().unwrap_or(0).to_string());
        if ended["signal"].as_i64().unwrap_or(0) > 0 {
            at(out, "Signal", ended["signal"].to_string());
        }
        at(out, "Started", time(&ended["startedAt"]));
        at(out, "Finished", time(&ended["finishedAt"]));
    } else {
        line!(out, "{indent}  {title}:\tWaiting");
    }
}

/// A probe on one line.
fn probe(probe: &Value) -> String {
    let number = |name: &str, default: i64| probe[name].as_i64().unwrap_or(default);
    let attributes = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds", 0),
        number("timeoutSeconds", 0),
        number("periodSeconds", 0),
        number("successThreshold", 0),
        number("failureThreshold", 0)
    );
    if let Some(command) = probe["exec"]["command"].as_array() {
        return format!("exec [{}] {attributes}", command.iter().map(text).collect::<Vec<_>>().join(" "));
    }
    if probe["httpGet"].is_object() {
        let get = &probe["httpGet"];
        let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        return format!(
            "http-get {scheme}://{}:{}{} {attributes}",
            text(&get["host"]),
            text(&get["port"]),
            text(&get["path"])
        );
    }
    if probe["tcpSocket"].is_object() {
        return format!(
            "tcp-socket {}:{} {attributes}",
            text(&probe["tcpSocket"]["host"]),
            text(&probe["tcpSocket"]["port"])
        );
    }
    if probe["grpc"].is_object() {
        return format!(
            "grpc <pod>:{} {} {attributes}",
            text(&probe["grpc"]["port"]),
            text(&probe["grpc"]["service"])
        );
    }
    format!("unknown {attributes}")
}
