//! `kubectl describe deployment|replicaset|replicationcontroller|daemonset|statefulset`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{
    annotations, annotations_at, conditions, container, controlled_by, joined, labels, line, map, name, pod,
    selector, text, time, volume,
};
use cli_runtime::error::Result;
use cli_runtime::resource::{Session, pods, selector_of};
use formats::table::join;

/// Writes a pod template.
pub fn pod_template(out: &mut String, template: &Value) {
    line!(out, "Pod Template:");
    if !template.is_object() {
        line!(out, "  <unset>");
        return;
    }
    map(out, "Labels", &template["metadata"]["labels"], "  ");
    if template["metadata"]["annotations"].as_object().is_some_and(|map| !map.is_empty()) {
        annotations_at(out, template, "  ");
    }
    let spec = &template["spec"];
    if !text(&spec["serviceAccountName"]).is_empty() {
        line!(out, "  Service Account:\t{}", text(&spec["serviceAccountName"]));
    }
    container::section(out, "Init Containers", spec.list_at(&["initContainers"]), &[], "  ");
    container::section(out, "Containers", spec.list_at(&["containers"]), &[], "  ");
    volume::of_pod(out, spec.list_at(&["volumes"]), "  ");
    if !text(&spec["priorityClassName"]).is_empty() {
        line!(out, "  Priority Class Name:\t{}", text(&spec["priorityClassName"]));
    }
    pod::placement(out, spec, "  ");
}

fn count(object: &Value, part: &str, field: &str) -> i64 {
    object[part][field].as_i64().unwrap_or(0)
}

/// Writes a deployment's description.
pub async fn deployment(out: &mut String, session: &Session, object: &Value) -> Result<()> {
    let spec = &object["spec"];
    name(out, object);
    line!(out, "CreationTimestamp:\t{}", time(&object["metadata"]["creationTimestamp"]));
    labels(out, object);
    annotations(out, object);
    line!(out, "Selector:\t{}", selector(&spec["selector"]));
    line!(
        out,
        "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable",
        count(object, "spec", "replicas"),
        count(object, "status", "updatedReplicas"),
        count(object, "status", "replicas"),
        count(object, "status", "availableReplicas"),
        count(object, "status", "unavailableReplicas")
    );
    line!(out, "StrategyType:\t{}", text(&spec["strategy"]["type"]));
    line!(out, "MinReadySeconds:\t{}", count(object, "spec", "minReadySeconds"));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        line!(
            out,
            "RollingUpdateStrategy:\t{} max unavailable, {} max surge",
            text(&rolling["maxUnavailable"]),
            text(&rolling["maxSurge"])
        );
    }
    pod_template(out, &spec["template"]);
    conditions(out, object, &["Type ", "Status", "Reason"]);
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", object.namespace());
    let list = session.list_path(&path, &selector_of(object).unwrap_or_default(), "", 500).await?;
    let mut sets: Vec<&Value> = list
        .list_at(&["items"])
        .iter()
        .filter(|set| set.controller_of().is_some_and(|owner| owner.uid == object.uid()))
        .collect();
    let revision = |set: &Value| {
        set.annotation("deployment.kubernetes.io/revision")
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(0)
    };
    sets.sort_by_key(|set| revision(set));
    let Some(newest) = sets.pop() else { return Ok(()) };
    let show = |set: &Value| {
        format!(
            "{} ({}/{} replicas created)",
            set.name(),
            count(set, "status", "replicas"),
            count(set, "spec", "replicas")
        )
    };
    let old: Vec<String> = sets.iter().map(|set| show(set)).collect();
    line!(out, "OldReplicaSets:\t{}", if old.is_empty() { "<none>".into() } else { old.join(", ") });
    line!(out, "NewReplicaSet:\t{}", show(newest));
    Ok(())
}

/// How many pods are in which phase.
async fn pod_status(session: &Session, object: &Value) -> Result<String> {
    let found =
        session.list(&pods(), Some(object.namespace()), &selector_of(object).unwrap_or_default(), "").await?;
    let mut counts = [0; 4];
    for pod in &found {
        // A pod that only carries the labels is not counted.
        if pod.object.controller_of().is_none_or(|owner| owner.uid != object.uid()) {
            continue;
        }
        match pod.object["status"]["phase"].as_str() {
            Some("Running") => counts[0] += 1,
            Some("Pending") => counts[1] += 1,
            Some("Succeeded") => counts[2] += 1,
            Some("Failed") => counts[3] += 1,
            _ => {}
        }
    }
    Ok(format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        counts[0], counts[1], counts[2], counts[3]
    ))
}

/// Writes a replica set's or replication controller's description.
pub async fn replica_set(out: &mut String, session: &Session, object: &Value) -> Result<()> {
    name(out, object);
    match object.kind() {
        "ReplicationController" => line!(out, "Selector:\t{}", join(&object["spec"]["selector"])),
        _ => line!(out, "Selector:\t{}", selector(&object["spec"]["selector"])),
    }
    labels(out, object);
    annotations(out, object);
    controlled_by(out, object);
    line!(
        out,
        "Replicas:\t{} current / {} desired",
        count(object, "status", "replicas"),
        count(object, "spec", "replicas")
    );
    line!(out, "Pods Status:\t{}", pod_status(session, object).await?);
    pod_template(out, &object["spec"]["template"]);
    conditions(out, object, &["Type ", "Status", "Reason"]);
    Ok(())
}

/// Writes a daemon set's description.
pub async fn daemon_set(out: &mut String, session: &Session, object: &Value) -> Result<()> {
    name(out, object);
    line!(out, "Selector:\t{}", selector(&object["spec"]["selector"]));
    line!(out, "Node-Selector:\t{}", join(&object["spec"]["template"]["spec"]["nodeSelector"]));
    labels(out, object);
    annotations(out, object);
    for (title, field) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        line!(out, "{title}: {}", count(object, "status", field));
    }
    line!(out, "Pods Status:\t{}", pod_status(session, object).await?);
    pod_template(out, &object["spec"]["template"]);
    Ok(())
}

/// Writes a stateful set's description.
pub async fn stateful_set(out: &mut String, session: &Session, object: &Value) -> Result<()> {
    let spec = &object["spec"];
    name(out, object);
    line!(out, "CreationTimestamp:\t{}", time(&object["metadata"]["creationTimestamp"]));
    line!(out, "Selector:\t{}", selector(&spec["selector"]));
    labels(out, object);
    annotations(out, object);
    line!(
        out,
        "Replicas:\t{} desired | {} total",
        count(object, "spec", "replicas"),
        count(object, "status", "replicas")
    );
    line!(out, "Update Strategy:\t{}", text(&spec["updateStrategy"]["type"]));
    if let Some(partition) = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64() {
        line!(out, "  Partition:\t{partition}");
    }
    line!(out, "Pods Status:\t{}", pod_status(session, object).await?);
    pod_template(out, &spec["template"]);
    let claims = object.list_at(&["spec", "volumeClaimTemplates"]);
    if claims.is_empty() {
        line!(out, "Volume Claims:\t<none>");
        return Ok(());
    }
    line!(out, "Volume Claims:");
    for claim in claims {
        line!(out, "  Name:\t{}", claim.name());
        line!(out, "  StorageClass:\t{}", text(&claim["spec"]["storageClassName"]));
        map(out, "Labels", &claim["metadata"]["labels"], "  ");
        annotations_at(out, claim, "  ");
        line!(out, "  Capacity:\t{}", text(&claim["spec"]["resources"]["requests"]["storage"]));
        line!(out, "  Access Modes:\t[{}]", joined(&claim["spec"]["accessModes"], " "));
    }
    Ok(())
}
