//! The events section of a description.

use apimachinery::object::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::{age, line, text};
use cli_runtime::client::with_query;
use cli_runtime::error::Result;
use cli_runtime::resource::Session;

/// Adds the events about an object, as far as they may be read.
pub async fn of_object(out: &mut String, session: &Session, object: &Value, now: Timestamp) -> Result<()> {
    // Events about nodes name the node as the UID of what they are about, as kubelets write them.
    let uid = object.uid();
    let mut selectors = vec![format!("involvedObject.uid={uid}")];
    if object.kind() == "Node" && uid != object.name() {
        selectors.push(format!("involvedObject.uid={}", object.name()));
    }
    let namespace = object.namespace();
    let path = match namespace {
        "" => "/api/v1/events".to_string(),
        namespace => format!("/api/v1/namespaces/{namespace}/events"),
    };
    let mut events = Vec::new();
    for uid in selectors {
        let fields = format!(
            "involvedObject.name={},involvedObject.namespace={namespace},involvedObject.kind={},{uid}",
            object.name(),
            object.kind()
        );
        let fields =
            if namespace.is_empty() { fields.replace("involvedObject.namespace=,", "") } else { fields };
        if let Ok(list) =
            session.client.get(&with_query(&path, &[("fieldSelector", &fields), ("limit", "500")])).await
        {
            events.extend(list["items"].as_array().cloned().unwrap_or_default());
        }
    }
    section(out, events, now);
    Ok(())
}

/// Writes events, oldest first.
pub fn section(out: &mut String, mut events: Vec<Value>, now: Timestamp) {
    if events.is_empty() {
        line!(out, "Events:\t<none>");
        return;
    }
    events.sort_by_key(|event| last_seen(event).to_string());
    line!(out, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
    line!(out, "  ----\t------\t----\t----\t-------");
    for event in &events {
        line!(
            out,
            "  {}\t{}\t{}\t{}\t{}",
            text(&event["type"]),
            text(&event["reason"]),
            interval(event, now),
            source(event),
            text(&event["message"]).trim()
        );
    }
}

/// When an event was last seen.
pub fn last_seen(event: &Value) -> &str {
    [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["firstTimestamp"],
    ]
    .into_iter()
    .find_map(|time| time.as_str().filter(|time| !time.is_empty()))
    .unwrap_or("")
}

/// `5s`, or `5s (x3 over 2m)` for one that came several times.
pub fn interval(event: &Value, now: Timestamp) -> String {
    let first = match event["firstTimestamp"].as_str() {
        Some(time) if !time.is_empty() => age(&event["firstTimestamp"], now),
        _ => age(&event["eventTime"], now),
    };
    let last = age(&Value::String(last_seen(event).to_string()), now);
    let count = event["series"]["count"].as_i64().or_else(|| event["count"].as_i64()).unwrap_or(1);
    if count > 1 { format!("{last} (x{count} over {first})") } else { last }
}

fn source(event: &Value) -> String {
    let component = text(&event["source"]["component"]);
    if component.is_empty() { text(&event["reportingComponent"]) } else { component }
}
