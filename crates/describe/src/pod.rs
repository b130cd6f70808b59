//! `kubectl describe pod`.

use apimachinery::object::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::{annotations, container, controlled_by, labels, line, map, name, or_none, text, time, volume};

/// Writes a pod's description.
pub fn describe(out: &mut String, pod: &Value, _now: Timestamp) {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    name(out, pod);
    if let Some(priority) = spec["priority"].as_i64() {
        line!(out, "Priority:\t{priority}");
    }
    for (title, field) in
        [("Priority Class Name", "priorityClassName"), ("Runtime Class Name", "runtimeClassName")]
    {
        if !text(&spec[field]).is_empty() {
            line!(out, "{title}:\t{}", text(&spec[field]));
        }
    }
    let account = text(&spec["serviceAccountName"]);
    line!(out, "Service Account:\t{}", if account.is_empty() { "default".into() } else { account });
    match text(&spec["nodeName"]).as_str() {
        "" => line!(out, "Node:\t<none>"),
        node => line!(out, "Node:\t{node}/{}", text(&status["hostIP"])),
    }
    if !status["startTime"].is_null() {
        line!(out, "Start Time:\t{}", time(&status["startTime"]));
    }
    labels(out, pod);
    annotations(out, pod);
    match pod.deletion_timestamp() {
        Some(when) if !when.is_empty() => {
            let lasts = super::age(&Value::String(when.into()), Timestamp::now());
            line!(out, "Status:\tTerminating (lasts {lasts})");
            line!(out, "Termination Grace Period:\t{}s", pod.deletion_grace_period().unwrap_or(0));
        }
        _ => line!(out, "Status:\t{}", text(&status["phase"])),
    }
    for (title, field) in [("Reason", "reason"), ("Message", "message")] {
        if !text(&status[field]).is_empty() {
            line!(out, "{title}:\t{}", text(&status[field]));
        }
    }
    if spec["securityContext"]["seccompProfile"].is_object() {
        line!(out, "SeccompProfile:\t{}", text(&spec["securityContext"]["seccompProfile"]["type"]));
    }
    line!(out, "IP:\t{}", text(&status["podIP"]));
    let addresses = pod.list_at(&["status", "podIPs"]);
    if addresses.is_empty() {
        line!(out, "IPs:\t<none>");
    } else {
        line!(out, "IPs:");
        for address in addresses {
            line!(out, "  IP:\t{}", text(&address["ip"]));
        }
    }
    controlled_by(out, pod);
    if !text(&status["nominatedNodeName"]).is_empty() {
        line!(out, "NominatedNodeName:\t{}", text(&status["nominatedNodeName"]));
    }
    let list = |path: &str| pod.list_at(&["spec", path]);
    let statuses = |path: &str| pod.list_at(&["status", path]);
    container::section(out, "Init Containers", list("initContainers"), statuses("initContainerStatuses"), "");
    container::section(out, "Containers", list("containers"), statuses("containerStatuses"), "");
    container::section(
        out,
        "Ephemeral Containers",
        list("ephemeralContainers"),
        statuses("ephemeralContainerStatuses"),
        "",
    );
    let gates = list("readinessGates");
    if !gates.is_empty() {
        line!(out, "Readiness Gates:\n  Type\tStatus");
        for gate in gates {
            let found =
                statuses("conditions").iter().find(|condition| condition["type"] == gate["conditionType"]);
            line!(
                out,
                "  {}\t{}",
                text(&gate["conditionType"]),
                or_none(&found.map_or(Value::Null, |c| c["status"].clone()))
            );
        }
    }
    if !statuses("conditions").is_empty() {
        line!(out, "Conditions:\n  Type\tStatus");
        for condition in statuses("conditions") {
            line!(out, "  {} \t{} ", text(&condition["type"]), text(&condition["status"]));
        }
    }
    volume::of_pod(out, list("volumes"), "");
    line!(out, "QoS Class:\t{}", text(&status["qosClass"]));
    placement(out, spec, "");
}

/// Node selectors, tolerations and spreading of a pod spec.
pub fn placement(out: &mut String, spec: &Value, indent: &str) {
    map(out, "Node-Selectors", &spec["nodeSelector"], indent);
    let tolerations = spec.list_at(&["tolerations"]);
    if tolerations.is_empty() {
        line!(out, "{indent}Tolerations:\t<none>");
    }
    let mut lines: Vec<String> = tolerations.iter().map(toleration).collect();
    lines.sort();
    for (index, toleration) in lines.iter().enumerate() {
        match index {
            0 => line!(out, "{indent}Tolerations:\t{toleration}"),
            _ => line!(out, "{indent}\t{toleration}"),
        }
    }
    for (index, constraint) in spec.list_at(&["topologySpreadConstraints"]).iter().enumerate() {
        let title = if index == 0 { "Topology Spread Constraints:" } else { "" };
        line!(
            out,
            "{indent}{title}\t{}:{} when max skew {} is exceeded for selector {}",
            text(&constraint["topologyKey"]),
            text(&constraint["whenUnsatisfiable"]),
            constraint["maxSkew"],
            super::selector(&constraint["labelSelector"])
        );
    }
}

fn toleration(toleration: &Value) -> String {
    let mut shown = text(&toleration["key"]);
    if !text(&toleration["value"]).is_empty() {
        shown = format!("{shown}={}", text(&toleration["value"]));
    }
    if !text(&toleration["effect"]).is_empty() {
        shown = format!("{shown}:{}", text(&toleration["effect"]));
    }
    if toleration["operator"] == "Exists" && text(&toleration["value"]).is_empty() {
        shown = match text(&toleration["key"]).is_empty() && text(&toleration["effect"]).is_empty() {
            true => "op=Exists".into(),
            false => format!("{shown} op=Exists"),
        };
    }
    if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
        shown = format!("{shown} for {}s", seconds.max(0));
    }
    shown
}
