//! `kubectl describe hpa`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, conditions, labels, line, name, text, time};

/// Writes an autoscaler's description.
pub fn describe(out: &mut String, scaler: &Value) {
    let (spec, status) = (&scaler["spec"], &scaler["status"]);
    name(out, scaler);
    labels(out, scaler);
    annotations(out, scaler);
    line!(out, "CreationTimestamp:\t{}", time(&scaler["metadata"]["creationTimestamp"]));
    line!(
        out,
        "Reference:\t{}/{}",
        text(&spec["scaleTargetRef"]["kind"]),
        text(&spec["scaleTargetRef"]["name"])
    );
    let metrics = scaler.list_at(&["spec", "metrics"]);
    if !metrics.is_empty() {
        line!(out, "Metrics:\t( current / target )");
        for (index, metric) in metrics.iter().enumerate() {
            let current = scaler.list_at(&["status", "currentMetrics"]).get(index).unwrap_or(&Value::Null);
            line!(out, "  {}", metric_line(metric, current));
        }
    }
    line!(
        out,
        "Min replicas:\t{}",
        match spec["minReplicas"].as_i64() {
            Some(least) => least.to_string(),
            None => "<unset>".into(),
        }
    );
    line!(out, "Max replicas:\t{}", text(&spec["maxReplicas"]));
    line!(
        out,
        "{} pods:\t{} current / {} desired",
        text(&spec["scaleTargetRef"]["kind"]),
        status["currentReplicas"].as_i64().unwrap_or(0),
        status["desiredReplicas"].as_i64().unwrap_or(0)
    );
    conditions(out, scaler, &["Type", "Status", "Reason", "Message"]);
}

fn metric_line(metric: &Value, current: &Value) -> String {
    let kind = text(&metric["type"]);
    let field = format!(
        "{}{}",
        kind.chars().next().unwrap_or(' ').to_lowercase(),
        kind.chars().skip(1).collect::<String>()
    );
    let (wanted, now) = (&metric[field.as_str()], &current[field.as_str()]["current"]);
    let unknown = |value: &Value| if value.is_null() { "<unknown>".to_string() } else { text(value) };
    if kind == "Resource" {
        let resource = text(&wanted["name"]);
        return match wanted["target"]["averageUtilization"].as_i64() {
            Some(target) => {
                let used = match now["averageUtilization"].as_i64() {
                    Some(used) => format!("{used}% ({})", text(&now["averageValue"])),
                    None => "<unknown>".into(),
                };
                format!("resource {resource} on pods  (as a percentage of request):\t{used} / {target}%")
            }
            None => format!(
                "resource {resource} on pods:\t{} / {}",
                unknown(&now["averageValue"]),
                text(&wanted["target"]["averageValue"])
            ),
        };
    }
    let target = ["value", "averageValue"]
        .iter()
        .map(|name| text(&wanted["target"][*name]))
        .find(|value| !value.is_empty());
    let used = ["value", "averageValue"].iter().map(|name| text(&now[*name])).find(|value| !value.is_empty());
    format!(
        "\"{}\" ({}):\t{} / {}",
        text(&wanted["metric"]["name"]),
        kind.to_lowercase(),
        used.unwrap_or_else(|| "<unknown>".into()),
        target.unwrap_or_default()
    )
}
