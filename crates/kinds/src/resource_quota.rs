//! ResourceQuotas.

use serde_json::Value;

use pod_strategy::defaults::round_up;
use pod_strategy::resources::{validate_amount, validate_resource_name};
use strategy::field::{Errors, Path};
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
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_amounts(spec, "hard", &Path::root("spec"), errors);
        let scopes_path = Path::root("spec.scopes");
        let scopes = spec.items("scopes");
        for scope in scopes {
            if !SCOPES.iter().any(|known| scope == known) {
                errors.invalid(&scopes_path, spec["scopes"].clone(), "unsupported scope");
            }
            let scope = scope.as_str().unwrap_or_default();
            for _ in spec.entries("hard").filter(|(name, _)| !may_count(scope, name)) {
                let why = "unsupported scope applied to resource";
                errors.invalid(&scopes_path, spec["scopes"].clone(), why);
            }
        }
        for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
            let has = |name: &str| scopes.iter().any(|scope| scope == name);
            if has(one) && has(other) {
                errors.invalid(&scopes_path, spec["scopes"].clone(), "conflicting scopes");
            }
        }
        for (index, term) in spec["scopeSelector"].items("matchExpressions").iter().enumerate() {
            let path = Path::root("spec.scopeSelector.matchExpressions");
            validate_term(term, &path.index(index), errors);
            for _ in spec.entries("hard").filter(|(name, _)| !may_count(term.text("scopeName"), name)) {
                let why = "unsupported scope applied to resource";
                errors.invalid(&path, spec["scopeSelector"]["matchExpressions"].clone(), why);
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        errors.immutable(&Path::root("spec.scopes"), &new["spec"]["scopes"], &old["spec"]["scopes"]);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        for list in ["hard", "used"] {
            validate_amounts(&new["status"], list, &Path::root("status"), errors);
        }
    }
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
    let scope = term.text("scopeName");
    if !SCOPES.contains(&scope) {
        errors.invalid(&path.child("scopeName"), scope, "unsupported scope");
    }
    let operator = term.text("operator");
    let by_class = matches!(scope, "PriorityClass" | "VolumeAttributesClass");
    if !by_class && operator != "Exists" {
        errors.invalid(
            &path.child("operator"),
            operator,
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
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
    use strategy::testing::{created, updated};

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
