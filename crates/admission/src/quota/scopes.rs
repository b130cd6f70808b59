//! Which objects a quota's scopes choose.

use std::fmt;

use pod_strategy::resources::qos_class;
use serde_json::Value;
use strategy::read::Read;

/// One of `scopes`, or of `scopeSelector.matchExpressions`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Requirement<'a> {
    pub(super) scope: &'a str,
    pub(super) operator: &'a str,
    pub(super) values: &'a [Value],
}

impl fmt::Display for Requirement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().filter_map(Value::as_str).collect();
        write!(f, "{{{} {} [{}]}}", self.scope, self.operator, values.join(" "))
    }
}

/// What a quota asks of the objects that it counts.
pub(super) fn of_quota(quota: &Value) -> Vec<Requirement<'_>> {
    let spec = &quota["spec"];
    let bare = spec.items("scopes").iter().filter_map(Value::as_str);
    let bare = bare.map(|scope| Requirement { scope, operator: "Exists", values: &[] });
    let expressions = spec["scopeSelector"].items("matchExpressions").iter();
    let expressions = expressions.map(|term| Requirement {
        scope: term.text("scopeName"),
        operator: term.text("operator"),
        values: term.items("values"),
    });
    bare.chain(expressions).collect()
}

/// Whether all of it holds for the object.
pub(super) fn matches(requirements: &[Requirement], group: &str, resource: &str, object: &Value) -> bool {
    requirements.iter().all(|requirement| holds(requirement, group, resource, object))
}

/// Whether an object is in a scope. What is neither a pod nor a claim is in none.
pub(super) fn holds(requirement: &Requirement, group: &str, resource: &str, object: &Value) -> bool {
    let Requirement { scope, operator, values } = *requirement;
    let spec = &object["spec"];
    match (group, resource) {
        ("", "pods") => match scope {
            "Terminating" => is_terminating(spec),
            "NotTerminating" => !is_terminating(spec),
            "BestEffort" => qos_class(spec) == "BestEffort",
            "NotBestEffort" => qos_class(spec) != "BestEffort",
            "PriorityClass" => selects(&[spec.text("priorityClassName")], operator, values),
            "CrossNamespacePodAffinity" => crosses_namespaces(spec),
            _ => false,
        },
        ("", "persistentvolumeclaims") => {
            let status = &object["status"];
            // A claim that is on its way from one class to another is in both.
            let classes = [
                spec.text("volumeAttributesClassName"),
                status.text("currentVolumeAttributesClassName"),
                status["modifyVolumeStatus"].text("targetVolumeAttributesClassName"),
            ];
            scope == "VolumeAttributesClass" && selects(&classes, operator, values)
        }
        _ => false,
    }
}

fn is_terminating(spec: &Value) -> bool {
    spec.int("activeDeadlineSeconds").is_some_and(|seconds| seconds >= 0)
}

/// Whether one of the names is chosen, or that there is none.
fn selects(names: &[&str], operator: &str, values: &[Value]) -> bool {
    let names: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
    let listed = |name: &&str| values.iter().any(|value| value == name);
    match operator {
        "Exists" => !names.is_empty(),
        "DoesNotExist" => names.is_empty(),
        "In" => names.iter().any(listed),
        "NotIn" => names.is_empty() || !names.iter().all(listed),
        _ => false,
    }
}

fn crosses_namespaces(spec: &Value) -> bool {
    let crosses =
        |term: &Value| !term.items("namespaces").is_empty() || term["namespaceSelector"].is_object();
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let affinity = &spec["affinity"][*kind];
        affinity.items("requiredDuringSchedulingIgnoredDuringExecution").iter().any(crosses)
            || affinity
                .items("preferredDuringSchedulingIgnoredDuringExecution")
                .iter()
                .any(|term| crosses(&term["podAffinityTerm"]))
    })
}
