//! ResourceQuotas.

use std::collections::BTreeSet;

use serde_json::Value;

use pod_strategy::defaults::round_up;
use pod_strategy::resources::{is_standard, validate_amount, validate_resource_name};
use strategy::field::{Errors, IMMUTABLE, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of ResourceQuotas.
pub struct ResourceQuota;

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

const REQUESTS: [&str; 4] =
    ["requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage"];

impl Strategy for ResourceQuota {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        round_up(write::ensure(object, "spec"), "hard");
        if let Some(status) = write::object(object, "status") {
            round_up(status, "hard");
            round_up(status, "used");
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_amounts(spec, "hard", &Path::root("spec"), errors);
        let path = Path::root("spec.scopes");
        let scopes: Vec<&str> = scopes(spec).collect();
        for scope in &scopes {
            if !SCOPES.contains(scope) {
                errors.invalid(&path, spec["scopes"].clone(), "unsupported scope");
            }
            for _ in uncounted(scope, spec) {
                errors.invalid(&path, spec["scopes"].clone(), "unsupported scope applied to resource");
            }
        }
        validate_pairs(&scopes, spec, &path, errors);
        validate_selector(spec, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        let set = |quota: &Value| scopes(&quota["spec"]).map(str::to_owned).collect::<BTreeSet<String>>();
        if set(new) != set(old) {
            errors.invalid(&Path::root("spec.scopes"), new["spec"]["scopes"].clone(), IMMUTABLE);
        }
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        for list in ["hard", "used"] {
            validate_amounts(&new["status"], list, &Path::root("status"), errors);
        }
    }
}

fn scopes(spec: &Value) -> impl Iterator<Item = &str> {
    spec.items("scopes").iter().map(|scope| scope.as_str().unwrap_or_default())
}

/// The resources of a quota that a scope of it does not count. Names that are somebody's own are not judged.
fn uncounted<'a>(scope: &'a str, spec: &'a Value) -> impl Iterator<Item = &'a String> {
    let names = spec.entries("hard").map(|(name, _)| name);
    names.filter(move |name| is_standard(name) && is_of_quotas(name) && !may_count(scope, name))
}

/// Validates that no two scopes have nothing in common.
fn validate_pairs(scopes: &[&str], spec: &Value, path: &Path, errors: &mut Errors) {
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.contains(&one) && scopes.contains(&other) {
            errors.invalid(path, spec["scopes"].clone(), "conflicting scopes");
        }
    }
}

/// Validates the selector of scopes; upstream names the list, not its items.
fn validate_selector(spec: &Value, errors: &mut Errors) {
    let path = Path::root("spec.scopeSelector.matchExpressions");
    let terms = spec["scopeSelector"].items("matchExpressions");
    for term in terms {
        let scope = term.text("scopeName");
        if !SCOPES.contains(&scope) {
            errors.invalid(&path.child("scopeName"), scope, "unsupported scope");
        }
        for _ in uncounted(scope, spec) {
            let why = "unsupported scope applied to resource";
            errors.invalid(&path, spec["scopeSelector"].clone(), why);
        }
        validate_term(term, &path, errors);
    }
    let scopes: Vec<&str> = terms.iter().map(|term| term.text("scopeName")).collect();
    validate_pairs(&scopes, spec, &path, errors);
}

fn validate_amounts(object: &Value, list: &str, path: &Path, errors: &mut Errors) {
    let list_path = path.child(list);
    for (name, value) in object.entries(list) {
        let path = list_path.key(name);
        let known = validate_resource_name(name, &path, errors);
        if !(name.contains('/') || known && is_of_quotas(name)) {
            errors.invalid(&path, name.as_str(), "must be a standard resource for quota");
        }
        validate_amount(name, value, &path, errors);
    }
}

/// Whether a quota may bound the resource by this unqualified name.
fn is_of_quotas(name: &str) -> bool {
    name != "storage" && (!name.starts_with("requests.") || REQUESTS.contains(&name))
        || name.starts_with("requests.hugepages-")
}

/// Whether quotas of the scope count the resource: those of pods count pods and what pods compute with.
fn may_count(scope: &str, resource: &str) -> bool {
    const COMPUTE: [&str; 6] =
        ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "BestEffort" => resource == "pods",
        "CrossNamespacePodAffinity"
        | "NotBestEffort"
        | "NotTerminating"
        | "PriorityClass"
        | "Terminating" => resource == "pods" || COMPUTE.contains(&resource),
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

fn validate_term(term: &Value, path: &Path, errors: &mut Errors) {
    let operator = term.text("operator");
    let by_itself = matches!(
        term.text("scopeName"),
        "BestEffort" | "CrossNamespacePodAffinity" | "NotBestEffort" | "NotTerminating" | "Terminating"
    );
    if by_itself && operator != "Exists" {
        errors.invalid(
            &path.child("operator"),
            operator,
            "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        );
    }
    let values = term.items("values");
    match operator {
        "In" | "NotIn" if values.is_empty() => errors.required(
            &path.child("values"),
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        ),
        "In" | "NotIn" => {}
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.invalid(
            &path.child("values"),
            term["values"].clone(),
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ),
        "Exists" | "DoesNotExist" => {}
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created, defaulted, updated};

    #[test]
    fn scopes_bound_what_they_count() {
        let unsupported = "unsupported scope applied to resource";
        let exists = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        let with = |hard: Value, scopes: Value| json!({"spec": {"hard": hard, "scopes": scopes}});
        let selecting = |hard: Value, terms: Value| json!({"spec": {"hard": hard, "scopeSelector": {"matchExpressions": terms}}});
        let shown = format!(
            "spec.scopeSelector.matchExpressions: Invalid value: {{\"matchExpressions\":[{{\"operator\":\"Exists\",\"scopeName\":\"BestEffort\"}}]}}: {unsupported}"
        );
        let wrong = format!(
            "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": {exists}\n\
             spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        );
        let cases = [
            (
                with(
                    json!({"count/jobs.batch": "1", "requests.example.com/gpu": "1"}),
                    json!(["NotTerminating"]),
                ),
                "",
            ),
            (
                with(json!({"pods": "1"}), json!(["Terminating", "NotTerminating"])),
                "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
            ),
            (
                with(json!({"cpu": "1"}), json!(["Some"])),
                "spec.scopes: Invalid value: [\"Some\"]: unsupported scope",
            ),
            (
                selecting(json!({"cpu": "1"}), json!([{"scopeName": "BestEffort", "operator": "Exists"}])),
                shown.as_str(),
            ),
            (
                selecting(json!({"pods": "1"}), json!([{"scopeName": "Terminating", "operator": "In"}])),
                wrong.as_str(),
            ),
            (
                selecting(json!({}), json!([{"scopeName": "Some", "operator": "In", "values": ["a"]}])),
                "spec.scopeSelector.matchExpressions.scopeName: Invalid value: \"Some\": unsupported scope",
            ),
            (
                selecting(
                    json!({}),
                    json!([{"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]}]),
                ),
                "spec.scopeSelector.matchExpressions.values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            ),
            (
                selecting(json!({}), json!([{"scopeName": "PriorityClass", "operator": "Gt"}])),
                "spec.scopeSelector.matchExpressions.operator: Invalid value: \"Gt\": not a valid selector operator",
            ),
            (
                selecting(
                    json!({"pods": "1"}),
                    json!([{"scopeName": "BestEffort", "operator": "Exists"}, {"scopeName": "NotBestEffort", "operator": "Exists"}]),
                ),
                "spec.scopeSelector.matchExpressions: Invalid value: \"null\": conflicting scopes",
            ),
        ];
        agree(
            cases
                .into_iter()
                .map(|(object, expected)| (object.to_string(), created(&ResourceQuota, object), expected)),
        );
    }

    #[test]
    fn scopes_are_a_set_that_stays() {
        let with = |scopes: Value| json!({"spec": {"scopes": scopes}});
        let old = with(json!(["Terminating", "BestEffort"]));
        assert_eq!(
            updated(&ResourceQuota, with(json!(["BestEffort", "Terminating", "BestEffort"])), old.clone()),
            ""
        );
        assert_eq!(
            updated(&ResourceQuota, json!({"spec": {}}), old),
            "spec.scopes: Invalid value: \"null\": field is immutable"
        );
        let fine = json!({"spec": {"hard": {"cpu": "100u"}}, "status": {"hard": {"cpu": "100u"}, "used": {"cpu": "100u"}}});
        let whole = json!({"spec": {"hard": {"cpu": "1m"}}, "status": {"hard": {"cpu": "1m"}, "used": {"cpu": "1m"}}});
        assert_eq!(defaulted(&ResourceQuota, fine), whole);
    }

    #[test]
    fn quotas_name_known_things() {
        assert_eq!(
            created(
                &ResourceQuota,
                json!({"spec": {"hard": {"pods": "5", "requests.cpu": "1", "count/deployments.apps": "2"}}})
            ),
            ""
        );
        assert_eq!(
            created(&ResourceQuota, json!({"spec": {"hard": {"chairs": "5"}}})),
            "spec.hard[chairs]: Invalid value: \"chairs\": must be a standard resource type or fully qualified\nspec.hard[chairs]: Invalid value: \"chairs\": must be a standard resource for quota"
        );
        assert_eq!(
            created(&ResourceQuota, json!({"spec": {"hard": {"pods": "1500m"}}})),
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"
        );
        assert_eq!(
            created(&ResourceQuota, json!({"spec": {"hard": {"storage": "5", "requests.nvidia": "1"}}})),
            "spec.hard[requests.nvidia]: Invalid value: \"requests.nvidia\": must be a standard resource type or fully qualified\nspec.hard[requests.nvidia]: Invalid value: \"requests.nvidia\": must be a standard resource for quota\nspec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"
        );
        assert_eq!(
            created(
                &ResourceQuota,
                json!({"spec": {"hard": {"services": "5", "pods": "1"}, "scopes": ["BestEffort"]}})
            ),
            "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"
        );
        assert_eq!(
            updated(&ResourceQuota, json!({"spec": {"scopes": ["BestEffort"]}}), json!({})),
            "spec.scopes: Invalid value: [\"BestEffort\"]: field is immutable"
        );
    }
}
