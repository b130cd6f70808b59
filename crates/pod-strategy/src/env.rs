//! Validation of environment variables and of references into the pod (downward API).

use serde_json::Value;

use crate::defaults::CONTAINER_LISTS;
use crate::probes::validate_label;
use crate::resources::quantity;
use crate::volumes::no_backsteps;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
pub use strategy::names::config_key_errors;
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
/// Pod fields that are known by name but that neither variables nor files may take.
const OTHER_FIELDS: [&str; 3] = ["spec.restartPolicy", "spec.schedulerName", "status.phase"];
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
        validate_file_ref(&source["fileKeyRef"], &path.child("fileKeyRef"), errors);
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

/// Validates a variable that is read from a file of a volume.
fn validate_file_ref(reference: &Value, path: &Path, errors: &mut Errors) {
    let key = reference.text("key");
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else if !is_variable_name(key) {
        errors.invalid(&path.child("key"), key, VARIABLE_MESSAGE);
    }
    match reference.text("volumeName") {
        "" => errors.required(&path.child("volumeName"), ""),
        name => validate_label(name, &path.child("volumeName"), errors),
    }
    match reference.text("path") {
        "" => errors.required(&path.child("path"), ""),
        file => no_backsteps(file, &path.child("path"), errors),
    }
}

/// Validates that the volumes in which variables are looked up are of the pod and empty at first.
pub(crate) fn validate_file_volumes(spec: &Value, path: &Path, errors: &mut Errors) {
    for list in CONTAINER_LISTS {
        let list_path = path.child(list);
        for (index, container) in spec.items(list).iter().enumerate() {
            let container_path = list_path.index(index);
            let variables_path = container_path.child("env");
            for (index, variable) in container.items("env").iter().enumerate() {
                let source = &variable["valueFrom"];
                if !source.has("fileKeyRef") {
                    continue;
                }
                let name = source["fileKeyRef"].text("volumeName");
                let variable_path = variables_path.index(index);
                let source_path = variable_path.child("valueFrom");
                let reference_path = source_path.child("fileKeyRef");
                let path = reference_path.child("volumeName");
                // Of volumes with one name, the last counts.
                match spec.items("volumes").iter().rfind(|volume| volume.text("name") == name) {
                    None => errors.not_found(&path, name),
                    Some(volume) if !volume.has("emptyDir") => {
                        errors.invalid(&path, name, "referenced volume must be of type emptyDir");
                    }
                    Some(_) => {}
                }
            }
        }
    }
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
    let unconverted = |why: String, errors: &mut Errors| {
        errors.invalid(&path.child("fieldPath"), field, format!("error converting fieldPath: {why}"));
    };
    let version = reference.text("apiVersion");
    if version != "v1" {
        unconverted(format!("unsupported pod version: {version}"), errors);
        return;
    }
    if let Some((parent, key)) = subscript(field) {
        match parent {
            "metadata.annotations" => {
                let key = key.to_lowercase();
                let found = names::qualified_name_errors(&key);
                errors.invalid_each(path, &Value::from(key), found);
            }
            "metadata.labels" => {
                errors.invalid_each(path, &Value::from(key), names::qualified_name_errors(key));
            }
            _ => unconverted(format!("field label does not support subscript: {field}"), errors),
        }
        return;
    }
    // `spec.host` is what `spec.nodeName` was once called.
    let field = if field == "spec.host" { "spec.nodeName" } else { field };
    let known = ENV_FIELDS.contains(&field) || FILE_FIELDS.contains(&field) || OTHER_FIELDS.contains(&field);
    if !known {
        unconverted(format!("field label not supported: {field}"), errors);
    } else if !allowed.contains(&field) {
        errors.unsupported(&path.child("fieldPath"), field, allowed);
    }
}

/// Splits `metadata.labels['key']` into path and key.
fn subscript(field: &str) -> Option<(&str, &str)> {
    field.strip_suffix("']")?.split_once("['").filter(|(parent, _)| !parent.is_empty())
}

fn validate_resource_ref(reference: &Value, file: bool, path: &Path, errors: &mut Errors) {
    let resource = reference.text("resource");
    let huge_pages = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if file && reference.text("containerName").is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
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
    let list_path = path;
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
                    // A final dash passes, as in the beginning of a name that is made up.
                    let whole = name.strip_suffix('-').filter(|name| !name.is_empty()).unwrap_or(name);
                    let found = names::errors(NameRule::Subdomain, whole);
                    errors.invalid_each(&name_path, &Value::from(name), found);
                }
            }
        }
        // Upstream leaves the index out of the paths that follow.
        match count {
            0 => errors.invalid(list_path, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(list_path, "", "may not have more than one field specified at a time"),
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
