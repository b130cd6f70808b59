//! `kubectl describe quota|limits`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{line, name, text};

/// Writes a resource quota's description.
pub fn describe(out: &mut String, quota: &Value) {
    name(out, quota);
    let scopes = quota.list_at(&["spec", "scopes"]);
    if !scopes.is_empty() {
        line!(out, "Scopes:\t{}", scopes.iter().map(text).collect::<Vec<_>>().join(", "));
    }
    table(out, quota, "");
}

/// Writes what is used and what is allowed.
pub fn table(out: &mut String, quota: &Value, indent: &str) {
    line!(out, "{indent}Resource\tUsed\tHard");
    // Upstream rules off the table in a namespace's description a little shorter.
    line!(out, "{indent}{}", if indent.is_empty() { "--------\t----\t----" } else { "--------\t---\t---" });
    for (resource, hard) in quota["status"]["hard"].as_object().into_iter().flatten() {
        line!(out, "{indent}{resource}\t{}\t{}", text(&quota["status"]["used"][resource]), text(hard));
    }
}

/// Writes a limit range's description.
pub fn limits(out: &mut String, range: &Value) {
    name(out, range);
    limit_rows(out, std::slice::from_ref(range), "");
}

/// Writes the limits of limit ranges.
pub fn limit_rows(out: &mut String, ranges: &[Value], indent: &str) {
    line!(out, "{indent}Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio");
    line!(out, "{indent}----\t--------\t---\t---\t---------------\t-------------\t-----------------------");
    for range in ranges {
        for limit in range.list_at(&["spec", "limits"]) {
            let fields = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
            let mut resources: Vec<&String> = fields
                .iter()
                .flat_map(|field| limit[*field].as_object().into_iter().flat_map(|map| map.keys()))
                .collect();
            resources.sort();
            resources.dedup();
            for resource in resources {
                let cells: Vec<String> = fields
                    .iter()
                    .map(|field| match text(&limit[*field][resource]) {
                        value if value.is_empty() => "-".into(),
                        value => value,
                    })
                    .collect();
                line!(out, "{indent}{}\t{resource}\t{}", text(&limit["type"]), cells.join("\t"));
            }
        }
    }
}
