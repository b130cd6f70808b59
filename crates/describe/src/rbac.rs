//! `kubectl describe role|clusterrole|rolebinding|clusterrolebinding`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, labels, line, text};

/// Writes a role's description: one line for each resource.
pub fn role(out: &mut String, role: &Value) {
    line!(out, "Name:\t{}", role.name());
    labels(out, role);
    annotations(out, role);
    line!(out, "PolicyRule:\n  Resources\tNon-Resource URLs\tResource Names\tVerbs");
    line!(out, "  ---------\t-----------------\t--------------\t-----");
    let bracket = |list: &[String]| format!("[{}]", list.join(" "));
    let texts = |rule: &Value, field: &str| rule.list_at(&[field]).iter().map(text).collect::<Vec<_>>();
    let mut rows = Vec::new();
    for rule in role.list_at(&["rules"]) {
        let verbs = bracket(&texts(rule, "verbs"));
        let names = bracket(&texts(rule, "resourceNames"));
        let urls = texts(rule, "nonResourceURLs");
        if !urls.is_empty() {
            rows.push(format!("  \t{}\t{names}\t{verbs}", bracket(&urls)));
        }
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                let (base, subresource) = resource
                    .split_once('/')
                    .map_or((resource.as_str(), String::new()), |(base, sub)| (base, format!("/{sub}")));
                let named =
                    if group.is_empty() { resource.clone() } else { format!("{base}.{group}{subresource}") };
                rows.push(format!("  {named}\t[]\t{names}\t{verbs}"));
            }
        }
    }
    rows.sort();
    for row in rows {
        line!(out, "{row}");
    }
}

/// Writes a binding's description.
pub fn binding(out: &mut String, binding: &Value) {
    line!(out, "Name:\t{}", binding.name());
    labels(out, binding);
    annotations(out, binding);
    line!(
        out,
        "Role:\n  Kind:\t{}\n  Name:\t{}",
        text(&binding["roleRef"]["kind"]),
        text(&binding["roleRef"]["name"])
    );
    line!(out, "Subjects:\n  Kind\tName\tNamespace");
    line!(out, "  ----\t----\t---------");
    for subject in binding.list_at(&["subjects"]) {
        line!(
            out,
            "  {}\t{}\t{}",
            text(&subject["kind"]),
            text(&subject["name"]),
            text(&subject["namespace"])
        );
    }
}
