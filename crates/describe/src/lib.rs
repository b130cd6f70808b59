//! Descriptions: what `kubectl describe` prints of an object, one file for each kind.

mod autoscaler;
mod configmap;
mod container;
mod csinode;
mod event;
mod generic;
mod ingress;
mod job;
mod namespace;
mod node;
mod pod;
mod quota;
mod rbac;
mod secret;
mod service;
mod serviceaccount;
#[cfg(test)]
mod tests;
mod volume;
mod workload;

use apimachinery::object::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use cli_runtime::error::Result;
use cli_runtime::resource::{Item, Session};
pub use event::{interval, last_seen};
use formats::tabwriter;
pub use workload::pod_template;

/// Writes a formatted line into a text.
macro_rules! line {
    ($text:expr, $($part:tt)*) => {{
        $text.push_str(&format!($($part)*));
        $text.push('\n');
    }};
}
pub(crate) use line;

/// The text of an object's description.
pub async fn describe(session: &Session, item: &Item, events: bool) -> Result<String> {
    let object = &item.object;
    let now = Timestamp::now();
    let mut text = String::new();
    match (item.resource.group.as_str(), item.resource.kind.as_str()) {
        ("", "Pod") => pod::describe(&mut text, object, now),
        ("", "Node") => node::describe(&mut text, session, object, now).await?,
        ("", "Service") => service::describe(&mut text, session, object).await?,
        ("", "Namespace") => namespace::describe(&mut text, session, object).await?,
        ("", "ConfigMap") => configmap::describe(&mut text, object),
        ("", "Secret") => secret::describe(&mut text, object),
        ("", "ServiceAccount") => serviceaccount::describe(&mut text, session, object).await?,
        ("", "PersistentVolume") => volume::persistent(&mut text, object),
        ("", "PersistentVolumeClaim") => volume::claim(&mut text, session, object).await?,
        ("", "ResourceQuota") => quota::describe(&mut text, object),
        ("", "LimitRange") => quota::limits(&mut text, object),
        ("apps", "Deployment") => workload::deployment(&mut text, session, object).await?,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => {
            workload::replica_set(&mut text, session, object).await?
        }
        ("apps", "DaemonSet") => workload::daemon_set(&mut text, session, object).await?,
        ("apps", "StatefulSet") => workload::stateful_set(&mut text, session, object).await?,
        ("batch", "Job") => job::job(&mut text, object),
        ("batch", "CronJob") => job::cron_job(&mut text, object),
        ("networking.k8s.io", "Ingress") => ingress::describe(&mut text, session, object).await?,
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler::describe(&mut text, object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => rbac::role(&mut text, object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::binding(&mut text, object)
        }
        ("storage.k8s.io", "StorageClass") => volume::class(&mut text, object),
        ("storage.k8s.io", "CSINode") => csinode::describe(&mut text, object),
        ("", "Event") | ("events.k8s.io", "Event") => generic::describe(&mut text, object),
        _ => generic::describe(&mut text, object),
    }
    // Upstream looks for no events of these.
    let without_events = matches!(
        item.resource.kind.as_str(),
        "Namespace"
            | "Secret"
            | "ResourceQuota"
            | "LimitRange"
            | "Role"
            | "ClusterRole"
            | "RoleBinding"
            | "ClusterRoleBinding"
            | "Event"
    );
    if events && !without_events {
        event::of_object(&mut text, session, object, now).await?;
    }
    Ok(tabwriter::align(&text, tabwriter::DESCRIBE))
}

/// A value as text; what is not there is empty.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as text, or `<none>`.
pub fn or_none(value: &Value) -> String {
    let text = text(value);
    if text.is_empty() { "<none>".into() } else { text }
}

/// A time in the form that descriptions use.
pub fn time(value: &Value) -> String {
    let Some(timestamp) = value.as_str().and_then(apimachinery::time::parse) else { return "<unset>".into() };
    timestamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// How long ago a time was.
pub fn age(value: &Value, now: Timestamp) -> String {
    match value.as_str() {
        Some(then) if !then.is_empty() => apimachinery::time::age(then, now),
        _ => "<unknown>".into(),
    }
}

/// `Name:` and, for namespaced objects, `Namespace:`.
fn name(out: &mut String, object: &Value) {
    line!(out, "Name:\t{}", object.name());
    if !object.namespace().is_empty() {
        line!(out, "Namespace:\t{}", object.namespace());
    }
}

/// Labels, one a line.
fn labels(out: &mut String, object: &Value) {
    map(out, "Labels", &object["metadata"]["labels"], "");
}

/// Annotations, one a line; the applied configuration is left out.
fn annotations(out: &mut String, object: &Value) {
    annotations_at(out, object, "");
}

fn annotations_at(out: &mut String, object: &Value, indent: &str) {
    let mut kept: Vec<(&str, &str)> =
        object.annotations().filter(|(key, _)| *key != cli_runtime::last_applied::LAST_APPLIED).collect();
    kept.sort_unstable();
    if kept.is_empty() {
        line!(out, "{indent}Annotations:\t<none>");
        return;
    }
    for (index, (key, value)) in kept.into_iter().enumerate() {
        out.push_str(&if index == 0 { format!("{indent}Annotations:\t") } else { format!("{indent}\t") });
        // Long values and values of several lines start on a line of their own.
        if value.contains('\n') || value.chars().count() + key.len() + 2 > 140 {
            line!(out, "{key}:");
            for part in value.trim_end_matches('\n').split('\n') {
                let shown: String = part.chars().take(137).collect();
                let more = if shown.len() < part.len() { "..." } else { "" };
                line!(out, "{indent}\t  {shown}{more}");
            }
        } else {
            line!(out, "{key}: {value}");
        }
    }
}

/// The conditions of an object, if it has any, as a table. A space after a column's name stands after its cells too,
/// as upstream has it for some kinds.
fn conditions(out: &mut String, object: &Value, columns: &[&str]) {
    let conditions = object.list_at(&["status", "conditions"]);
    if conditions.is_empty() {
        return;
    }
    let names: Vec<&str> = columns.iter().map(|column| column.trim_end()).collect();
    let underlines: Vec<String> = names.iter().map(|name| "-".repeat(name.len())).collect();
    line!(out, "Conditions:\n  {}", names.join("\t"));
    line!(out, "  {}", underlines.join("\t"));
    for condition in conditions {
        let cells: Vec<String> = columns
            .iter()
            .zip(&names)
            .map(|(column, name)| {
                let value = &condition[name[..1].to_lowercase() + &name[1..]];
                let shown = if name.ends_with("Time") { time(value) } else { text(value) };
                shown + &column[name.len()..]
            })
            .collect();
        line!(out, "  {}", cells.join("\t"));
    }
}

/// A map of texts, `key=value` one a line, or `<none>`.
fn map(out: &mut String, title: &str, map: &Value, indent: &str) {
    let mut entries: Vec<(&String, String)> =
        map.as_object().into_iter().flatten().map(|(key, value)| (key, text(value))).collect();
    entries.sort();
    if entries.is_empty() {
        line!(out, "{indent}{title}:\t<none>");
        return;
    }
    for (index, (key, value)) in entries.into_iter().enumerate() {
        match index {
            0 => line!(out, "{indent}{title}:\t{key}={value}"),
            _ => line!(out, "\t{key}={value}"),
        }
    }
}

/// A label selector as one line, or `<none>`.
fn selector(value: &Value) -> String {
    match apimachinery::labels::Selector::from_label_selector(value) {
        Ok(selector) if value.is_object() => {
            let text = selector.to_string();
            if text.is_empty() { "<none>".into() } else { text }
        }
        _ => "<none>".into(),
    }
}

/// A list of texts joined, or `<none>`.
fn joined(list: &Value, separator: &str) -> String {
    let parts: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
    if parts.is_empty() { "<none>".into() } else { parts.join(separator) }
}

/// Who controls the object.
fn controlled_by(out: &mut String, object: &Value) {
    if let Some(owner) = object.controller_of() {
        line!(out, "Controlled By:\t{}/{}", owner.kind, owner.name);
    }
}
