//! `kubectl describe node`.

use std::collections::BTreeMap;

use apimachinery::object::ObjectExt;
use apimachinery::quantity::Quantity;
use jiff::Timestamp;
use serde_json::Value;

use crate::{age, annotations, conditions, labels, line, text, time};
use cli_runtime::error::Result;
use cli_runtime::resource::{Item, Session, core, pods};

/// Writes a node's description.
pub async fn describe(out: &mut String, session: &Session, node: &Value, now: Timestamp) -> Result<()> {
    let status = &node["status"];
    line!(out, "Name:\t{}", node.name());
    let mut roles: Vec<&str> = node
        .labels()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    line!(out, "Roles:\t{}", if roles.is_empty() { "<none>".into() } else { roles.join(",") });
    labels(out, node);
    annotations(out, node);
    line!(out, "CreationTimestamp:\t{}", time(&node["metadata"]["creationTimestamp"]));
    let mut taints: Vec<_> = node.list_at(&["spec", "taints"]).iter().collect();
    taints.sort_by_key(|taint| (text(&taint["effect"]), text(&taint["key"])));
    if taints.is_empty() {
        line!(out, "Taints:\t<none>");
    }
    for (index, taint) in taints.iter().enumerate() {
        let value = text(&taint["value"]);
        let equals = if value.is_empty() { "" } else { "=" };
        let title = if index == 0 { "Taints:" } else { "" };
        line!(out, "{title}\t{}{equals}{value}:{}", text(&taint["key"]), text(&taint["effect"]));
    }
    line!(out, "Unschedulable:\t{}", node["spec"]["unschedulable"] == true);
    let lease = core("leases", "lease", "Lease", true);
    let lease = cli_runtime::discovery::Resource { group: "coordination.k8s.io".into(), ..(*lease).clone() };
    match session.client.get(&lease.object_path(Some("kube-node-lease"), node.name())).await {
        Ok(lease) => {
            line!(out, "Lease:");
            line!(out, "  HolderIdentity:\t{}", text(&lease["spec"]["holderIdentity"]));
            line!(out, "  AcquireTime:\t{}", time(&lease["spec"]["acquireTime"]));
            line!(out, "  RenewTime:\t{}", time(&lease["spec"]["renewTime"]));
        }
        Err(cli_runtime::error::Error::Server { status, .. }) => {
            line!(out, "Lease:\tFailed to get lease: {}", text(&status["message"]));
        }
        Err(error) => line!(out, "Lease:\tFailed to get lease: {error}"),
    }
    conditions(
        out,
        node,
        &["Type ", "Status ", "LastHeartbeatTime ", "LastTransitionTime ", "Reason ", "Message"],
    );
    line!(out, "Addresses:");
    for address in node.list_at(&["status", "addresses"]) {
        line!(out, "  {}:\t{}", text(&address["type"]), text(&address["address"]));
    }
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        if let Some(quantities) = status[field].as_object().filter(|map| !map.is_empty()) {
            line!(out, "{title}:");
            for (name, quantity) in quantities {
                line!(out, "  {name}:\t{}", text(quantity));
            }
        }
    }
    line!(out, "System Info:");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ] {
        line!(out, "  {title}:\t{}", text(&status["nodeInfo"][field]));
    }
    for (title, field) in [("PodCIDR", "podCIDR"), ("ProviderID", "providerID")] {
        if !text(&node["spec"][field]).is_empty() {
            line!(out, "{title}:\t{}", text(&node["spec"][field]));
            if field == "podCIDR" {
                line!(out, "PodCIDRs:\t{}", super::joined(&node["spec"]["podCIDRs"], ","));
            }
        }
    }
    let fields = format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", node.name());
    match session.list(&pods(), None, "", &fields).await {
        Ok(found) => resources(out, &found, status, now),
        Err(error) if error.code() == 403 => line!(out, "Pods:\tnot authorized"),
        Err(error) => return Err(error),
    }
    Ok(())
}

type Amounts = BTreeMap<String, Quantity>;

fn resources(out: &mut String, found: &[Item], status: &Value, now: Timestamp) {
    line!(out, "Non-terminated Pods:\t({} in total)", found.len());
    line!(out, "  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    line!(out, "  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let allocatable = match status["allocatable"].as_object().is_some_and(|map| !map.is_empty()) {
        true => &status["allocatable"],
        false => &status["capacity"],
    };
    let of = |name: &str| quantity(&allocatable[name]).unwrap_or(Quantity::ZERO);
    let percent = |amount: &Quantity, name: &str| share(amount, &of(name), name);
    let (mut requests, mut limits): (Amounts, Amounts) = Default::default();
    for pod in found {
        let (pod_requests, pod_limits) = (amounts(&pod.object, "requests"), amounts(&pod.object, "limits"));
        let get = |amounts: &Amounts, name: &str| amounts.get(name).copied().unwrap_or(Quantity::ZERO);
        let cell = |amounts: &Amounts, name: &str| {
            let amount = get(amounts, name);
            format!("{amount} ({}%)", percent(&amount, name))
        };
        line!(
            out,
            "  {}\t{}\t\t{}\t{}\t{}\t{}\t{}",
            pod.namespace.as_deref().unwrap_or(""),
            pod.name,
            cell(&pod_requests, "cpu"),
            cell(&pod_limits, "cpu"),
            cell(&pod_requests, "memory"),
            cell(&pod_limits, "memory"),
            age(&pod.object["metadata"]["creationTimestamp"], now)
        );
        add(&mut requests, pod_requests);
        add(&mut limits, pod_limits);
    }
    line!(out, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
    line!(out, "  Resource\tRequests\tLimits");
    line!(out, "  --------\t--------\t------");
    let get = |amounts: &Amounts, name: &str| amounts.get(name).copied().unwrap_or(Quantity::ZERO);
    let with_share = |out: &mut String, name: &str| {
        let (request, limit) = (get(&requests, name), get(&limits, name));
        let (of_request, of_limit) = (percent(&request, name), percent(&limit, name));
        line!(out, "  {name}\t{request} ({of_request}%)\t{limit} ({of_limit}%)");
    };
    let standard = ["cpu", "memory", "ephemeral-storage"];
    for name in standard {
        with_share(out, name);
    }
    let more = allocatable.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    for name in more.filter(|name| !standard.contains(name) && *name != "pods") {
        match name.starts_with("hugepages-") {
            true => with_share(out, name),
            false => line!(out, "  {name}\t{}\t{}", get(&requests, name), get(&limits, name)),
        }
    }
}

fn share(amount: &Quantity, of: &Quantity, name: &str) -> i64 {
    let (amount, of) = match name {
        "cpu" => (amount.milli_value(), of.milli_value()),
        _ => (amount.value(), of.value()),
    };
    if of <= 0 { 0 } else { ((amount as f64) / (of as f64) * 100.0) as i64 }
}

fn quantity(value: &Value) -> Option<Quantity> {
    text(value).parse().ok()
}

fn add(total: &mut Amounts, more: Amounts) {
    for (name, amount) in more {
        let sum = total.remove(&name).unwrap_or(Quantity::ZERO) + amount;
        total.insert(name, sum);
    }
}

/// What a pod asks for, or is limited to: its containers together, or its largest init container.
fn amounts(pod: &Value, field: &str) -> Amounts {
    let of = |container: &Value| -> Amounts {
        container["resources"][field]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), quantity(value)?)))
            .collect()
    };
    let mut total = Amounts::new();
    for container in pod.list_at(&["spec", "containers"]) {
        add(&mut total, of(container));
    }
    let mut sidecars = Amounts::new();
    let mut largest = Amounts::new();
    for container in pod.list_at(&["spec", "initContainers"]) {
        let mut running = of(container);
        if container["restartPolicy"] == "Always" {
            add(&mut sidecars, running.clone());
            running = sidecars.clone();
            add(&mut total, of(container));
        } else {
            add(&mut running, sidecars.clone());
        }
        for (name, amount) in running {
            let known = largest.remove(&name).unwrap_or(Quantity::ZERO);
            largest.insert(name, known.max(amount));
        }
    }
    for (name, amount) in largest {
        let known = total.remove(&name).unwrap_or(Quantity::ZERO);
        total.insert(name, known.max(amount));
    }
    for (name, value) in pod["spec"]["overhead"].as_object().into_iter().flatten() {
        if let Some(amount) = quantity(value)
            && (field == "requests" || total.contains_key(name))
        {
            add(&mut total, Amounts::from([(name.clone(), amount)]));
        }
    }
    total
}
