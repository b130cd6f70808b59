//! Horizontal pod autoscalers of either version.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, UNKNOWN, UNSET, age, int_or_string, name, number, quantity, text};
use crate::column::{AGE, NAME, string};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "autoscaling",
    kind: "HorizontalPodAutoscaler",
    columns: &[
        NAME,
        string("Reference"),
        string("Targets"),
        string("MinPods"),
        string("MaxPods"),
        string("Replicas"),
        AGE,
    ],
    cells,
}];

fn cells(autoscaler: &Value, now: Timestamp) -> Vec<Value> {
    let target = |field: &str| text(autoscaler, &["spec", "scaleTargetRef", field]);
    vec![
        name(autoscaler),
        format!("{}/{}", target("kind"), target("name")).into(),
        targets(autoscaler).into(),
        int_or_string(autoscaler, &["spec", "minReplicas"], UNSET).into(),
        number(autoscaler, &["spec", "maxReplicas"]).into(),
        number(autoscaler, &["status", "currentReplicas"]).into(),
        age(autoscaler, now),
    ]
}

fn targets(autoscaler: &Value) -> String {
    let current = autoscaler.list_at(&["status", "currentMetrics"]);
    let mut targets: Vec<String> = autoscaler
        .list_at(&["spec", "metrics"])
        .iter()
        .enumerate()
        .map(|(index, metric)| target(metric, current.get(index)))
        .collect();
    // Version 1 knows one metric only.
    if let Some(wanted) = autoscaler.i64_at(&["spec", "targetCPUUtilizationPercentage"]) {
        let current = percent(autoscaler.at(&["status", "currentCPUUtilizationPercentage"]), UNKNOWN);
        targets.push(format!("cpu: {current}/{wanted}%"));
    }
    match targets.len() {
        0 => NONE.to_owned(),
        1 | 2 => targets.join(", "),
        count => format!("{} + {} more...", targets[..2].join(", "), count - 2),
    }
}

fn percent(value: Option<&Value>, placeholder: &str) -> String {
    value.and_then(Value::as_i64).map_or(placeholder.to_owned(), |value| format!("{value}%"))
}

fn target(metric: &Value, status: Option<&Value>) -> String {
    let source = match text(metric, &["type"]) {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let wanted = |field: &str| metric.at(&[source, "target", field]);
    let current = |field: &str| {
        status
            .and_then(|status| status.at(&[source, "current", field]))
            .map_or(UNKNOWN.to_owned(), |value| quantity(Some(value)))
    };
    let is_resource = source == "resource" || source == "containerResource";
    let prefix = if is_resource { format!("{}: ", text(metric, &[source, "name"])) } else { String::new() };
    match (wanted("averageValue"), is_resource) {
        (Some(average), false) if source != "pods" => {
            format!("{}/{} (avg)", current("averageValue"), quantity(Some(average)))
        }
        (Some(average), _) => format!("{prefix}{}/{}", current("averageValue"), quantity(Some(average))),
        (None, true) => {
            let now = status.and_then(|status| status.at(&[source, "current", "averageUtilization"]));
            format!("{prefix}{}/{}", percent(now, UNKNOWN), percent(wanted("averageUtilization"), "<auto>"))
        }
        (None, false) => format!("{}/{}", current("value"), quantity(wanted("value"))),
    }
}
