//! Validation of the rules by which webhooks and policies say which requests they are about.

use apimachinery::names::path_segment_errors;
use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::Read;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];

/// Validates one rule.
pub(crate) fn validate(rule: &Value, path: &Path, errors: &mut Errors) {
    let names = rule.items("resourceNames");
    for (index, name) in names.iter().enumerate() {
        let list_path = path.child("resourceNames");
        let path = list_path.index(index);
        errors.invalid_each(&path, name, path_segment_errors(name.as_str().unwrap_or_default()));
        if names[..index].contains(name) {
            errors.duplicate(&path, name.clone());
        }
    }
    wildcard_alone(rule, "operations", "operations", path, errors);
    for (index, operation) in rule.items("operations").iter().enumerate() {
        if !OPERATIONS.iter().any(|known| operation == known) {
            errors.unsupported(&path.child("operations").index(index), operation.clone(), &OPERATIONS);
        }
    }
    for (key, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        wildcard_alone(rule, key, what, path, errors);
    }
    for (index, version) in rule.items("apiVersions").iter().enumerate() {
        if version == "" {
            errors.required(&path.child("apiVersions").index(index), "");
        }
    }
    validate_resources(rule, &path.child("resources"), errors);
    if rule.has("scope") && !SCOPES.contains(&rule.text("scope")) {
        errors.unsupported(&path.child("scope"), rule.text("scope"), &SCOPES);
    }
}

fn wildcard_alone(rule: &Value, key: &str, what: &str, path: &Path, errors: &mut Errors) {
    let items = rule.items(key);
    if items.is_empty() {
        errors.required(&path.child(key), "");
    } else if items.len() > 1 && items.iter().any(|item| item == "*") {
        let why = format!("if '*' is present, must not specify other {what}");
        errors.invalid(&path.child(key), rule[key].clone(), why);
    }
}

/// Resources are `name`, `name/sub`, and either part or both may be a wildcard; none may be said twice over.
fn validate_resources(rule: &Value, path: &Path, errors: &mut Errors) {
    let items = rule.items("resources");
    if items.is_empty() {
        errors.required(path, "");
    }
    let (mut all_subs_of, mut sub_of_all): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index);
        let item = item.as_str().unwrap_or_default();
        if item.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let Some((resource, sub)) = item.split_once('/') else { continue };
        if all_subs_of.contains(&resource) {
            let why = format!("if '{resource}/*' is present, must not specify {item}");
            errors.invalid(&path, item, why);
        }
        if sub_of_all.contains(&sub) {
            errors.invalid(&path, item, format!("if '*/{sub}' is present, must not specify {item}"));
        }
        if sub == "*" {
            all_subs_of.push(resource);
        }
        if resource == "*" {
            sub_of_all.push(sub);
        }
    }
    if items.len() > 1 && items.iter().any(|item| item == "*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errors.invalid(path, rule["resources"].clone(), why);
    }
    // As upstream, the last of those without a subresource decides.
    let is_bare = |item: &&Value| item.as_str().is_some_and(|item| !item.is_empty() && !item.contains('/'));
    let last = items.iter().rfind(is_bare);
    if items.iter().any(|item| item == "*") && last.is_some_and(|item| item != "*") {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, rule["resources"].clone(), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn wildcards_stand_alone() {
        for (change, expected) in [
            (json!({}), ""),
            (json!({"resources": ["pods", "pods/status"]}), ""),
            (json!({"resources": ["*", "pods/*"]}), ""),
            (json!({"operations": []}), "r.operations: Required value"),
            (
                json!({"apiGroups": ["*", "apps"]}),
                "r.apiGroups: Invalid value: [\"*\",\"apps\"]: if '*' is present, must not specify other API groups",
            ),
            (
                json!({"resources": ["*", "pods"]}),
                "r.resources: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not specify other resources without subresources",
            ),
            (
                json!({"resources": ["*/*", "pods"]}),
                "r.resources: Invalid value: [\"*/*\",\"pods\"]: if '*/*' is present, must not specify other resources",
            ),
            (
                json!({"resources": ["pods/*", "pods/status"]}),
                "r.resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status",
            ),
            (
                json!({"scope": "All"}),
                "r.scope: Unsupported value: \"All\": supported values: \"*\", \"Cluster\", \"Namespaced\"",
            ),
        ] {
            let mut rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]});
            rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(found(|errors| validate(&rule, &Path::root("r"), errors)), expected, "{rule}");
        }
    }
}
