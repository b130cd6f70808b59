//! Validation of environment variables and of references into the pod (downward API).

use serde_json::Value;

use crate::resources::quantity;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

/// Pod fields that an environment variable may take, in upstream's (sorted) order.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Container resources that an environment variable may take.
const ENV_RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// Fields that a downward API file may take.
const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

const VARIABLE_MESSAGE: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Validates the variables of a container.
pub(crate) fn validate_env(variables: &[Value], path: &Path, errors: &mut Errors) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        let name = variable.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if !is_variable_name(name) {
            errors.invalid(&path.child("name"), name, VARIABLE_MESSAGE);
        }
        validate_source(variable, &path.child("valueFrom"), errors);
    }
}

fn is_variable_name(name: &str) -> bool {
    name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

fn validate_source(variable: &Value, path: &Path, errors: &mut Errors) {
    let Some(source) = variable.get("valueFrom").filter(|source| source.is_object()) else { return };
    let mut count = 0;
    if source.has("fieldRef") {
        count += 1;
        validate_field_ref(&source["fieldRef"], &ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if source.has("resourceFieldRef") {
        count += 1;
        validate_resource_ref(&source["resourceFieldRef"], false, &path.child("resourceFieldRef"), errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if source.has(kind) {
            count += 1;
            let path = path.child(kind);
            let reference = &source[kind];
            let found = names::errors(NameRule::Subdomain, reference.text("name"));
            errors.invalid_each(&path.child("name"), &Value::from(reference.text("name")), found);
            let key = reference.text("key");
            if key.is_empty() {
                errors.required(&path.child("key"), "");
            } else {
                errors.invalid_each(&path.child("key"), &reference["key"], config_key_errors(key));
            }
        }
    }
    if source.has("fileKeyRef") {
        count += 1;
        let path = path.child("fileKeyRef");
        for key in ["key", "path", "volumeName"] {
            if source["fileKeyRef"].text(key).is_empty() {
                errors.required(&path.child(key), "");
            }
        }
    }
    if count == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    }
    if !variable.text("value").is_empty() {
        if count != 0 {
            errors.invalid(path, "", "may not be specified when `value` is not empty");
        }
    } else if count > 1 {
        errors.invalid(path, "", "may not have more than one field specified at a time");
    }
}

/// What is wrong with a key of a ConfigMap or Secret; empty when nothing is.
pub fn config_key_errors(key: &str) -> Vec<String> {
    let mut found = Vec::new();
    if key.len() > 253 {
        found.push("must be no more than 253 characters".to_owned());
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() || !key.bytes().all(word) {
        found.push(KEY_MESSAGE.to_owned());
    }
    match key {
        "." => found.push("must not be '.'".to_owned()),
        ".." => found.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => found.push("must not start with '..'".to_owned()),
        _ => {}
    }
    found
}

fn validate_field_ref(reference: &Value, allowed: &[&str], path: &Path, errors: &mut Errors) {
    if reference.text("apiVersion").is_empty() {
        errors.required(&path.child("apiVersion"), "");
        return;
    }
    let field = reference.text("fieldPath");
    if field.is_empty() {
        errors.required(&path.child("fieldPath"), "");
        return;
    }
    if let Some((parent, key)) = subscript(field) {
        match parent {
            "metadata.annotations" => errors.invalid_each(
                path,
                &Value::from(key),
                names::qualified_name_errors(&key.to_lowercase()),
            ),
            "metadata.labels" => {
                errors.invalid_each(path, &Value::from(key), names::qualified_name_errors(key));
            }
            _ => errors.invalid(path, parent, "does not support subscript"),
        }
        return;
    }
    let known = ENV_FIELDS.contains(&field) || FILE_FIELDS.contains(&field) || field == "spec.host";
    if !known {
        errors.invalid(
            &path.child("fieldPath"),
            field,
            format!("error converting fieldPath: field label not supported: {field}"),
        );
    } else if !allowed.contains(&field) {
        errors.unsupported(&path.child("fieldPath"), field, allowed);
    }
}

/// Splits `metadata.labels['key']` into path and key.
fn subscript(field: &str) -> Option<(&str, &str)> {
    field.strip_suffix("']")?.split_once("['")
}

fn validate_resource_ref(reference: &Value, file: bool, path: &Path, errors: &mut Errors) {
    if file && reference.text("containerName").is_empty() {
        errors.required(&path.child("containerName"), "");
        return;
    }
    let resource = reference.text("resource");
    let huge_pages = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !ENV_RESOURCES.contains(&resource) && !huge_pages {
        errors.unsupported(&path.child("resource"), resource, &ENV_RESOURCES);
    }
    let Some(divisor) = quantity(&reference["divisor"]).filter(|divisor| !divisor.is_zero()) else { return };
    let divisor = divisor.to_string();
    let (what, allowed): (&str, &[&str]) = match resource.split_once('.').map_or("", |(_, kind)| kind) {
        "cpu" => ("cpu", &["1m", "1"]),
        "memory" => ("memory", &SIZES),
        "ephemeral-storage" => ("local ephemeral storage", &SIZES),
        kind if kind.starts_with("hugepages-") => ("hugepages", &SIZES),
        _ => return,
    };
    if !allowed.contains(&divisor.as_str()) {
        let list = match what {
            "cpu" => "1m and 1".to_owned(),
            _ => SIZES.join(", "),
        };
        errors.invalid(
            &path.child("divisor"),
            resource,
            format!("only divisor's values {list} are supported with the {what} resource"),
        );
    }
}

const SIZES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Validates whole ConfigMaps and Secrets taken as variables.
pub(crate) fn validate_env_from(sources: &[Value], path: &Path, errors: &mut Errors) {
    for (index, source) in sources.iter().enumerate() {
        let path = path.index(index);
        let prefix = source.text("prefix");
        if !is_variable_name(prefix) {
            errors.invalid(&path.child("prefix"), prefix, VARIABLE_MESSAGE);
        }
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            if source.has(kind) {
                count += 1;
                let name = source[kind].text("name");
                let reference_path = path.child(kind);
                let name_path = reference_path.child("name");
                if name.is_empty() {
                    errors.required(&name_path, "");
                } else {
                    let found = names::errors(NameRule::Subdomain, name);
                    errors.invalid_each(&name_path, &Value::from(name), found);
                }
            }
        }
        match count {
            0 => errors.invalid(&path, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(&path, "", "may not have more than one field specified at a time"),
        }
    }
}

/// Validates one file of a downward API volume.
pub(crate) fn validate_downward_file(file: &Value, path: &Path, errors: &mut Errors) {
    let name = file.text("path");
    if name.is_empty() {
        errors.required(&path.child("path"), "");
    }
    crate::volumes::validate_local_path(name, true, &path.child("path"), errors);
    match (file.has("fieldRef"), file.has("resourceFieldRef")) {
        (true, both) => {
            validate_field_ref(&file["fieldRef"], &FILE_FIELDS, &path.child("fieldRef"), errors);
            if both {
                errors.invalid(
                    path,
                    "resource",
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                );
            }
        }
        (false, true) => {
            validate_resource_ref(&file["resourceFieldRef"], true, &path.child("resourceFieldRef"), errors);
        }
        (false, false) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    crate::volumes::validate_mode(file, "mode", path, errors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::listed;

    fn check(variable: Value, expected: &str) {
        let mut errors = Errors::new();
        validate_env(&[variable], &Path::root("env"), &mut errors);
        assert_eq!(listed(errors.into_vec()), expected);
    }

    #[test]
    fn variables_take_one_source() {
        check(json!({"name": "A", "value": "x"}), "");
        check(json!({"name": "1-a.b", "value": "x"}), "");
        check(json!({"value": "x"}), "env[0].name: Required value");
        check(
            json!({"name": "a=b"}),
            "env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
        );
        check(
            json!({"name": "A", "value": "x", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}),
            "env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        );
        check(
            json!({"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.whoops"}}}),
            "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.whoops\": error converting fieldPath: field label not supported: metadata.whoops",
        );
        check(
            json!({"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}}),
            "env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
        );
        check(
            json!({"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['a']"}}}),
            "",
        );
        check(
            json!({"name": "A", "valueFrom": {"configMapKeyRef": {"name": "s", "key": ""}}}),
            "env[0].valueFrom.configMapKeyRef.key: Required value",
        );
        check(
            json!({"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "5m"}}}),
            "env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
        );
    }
}
