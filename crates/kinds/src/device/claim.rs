//! Validation of which devices a claim asks for.

use serde_json::Value;

use super::{MAX_ITEMS, names_of, sharing, validate_configuration, validate_driver, validate_selectors};
use pod_strategy::probes::validate_label;
use pod_strategy::scheduling::validate_effect;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

/// How many alternatives a request may name.
const MAX_ALTERNATIVES: usize = 8;
const MAX_TOLERATIONS: usize = 16;

/// Validates the spec of a claim, also of one in a template.
pub(super) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    let devices = &spec["devices"];
    let devices_path = path.child("devices");
    let requests_path = devices_path.child("requests");
    let requests = devices.items("requests");
    if requests.len() > MAX_ITEMS {
        errors.too_many(&requests_path, requests.len(), MAX_ITEMS);
    }
    for (index, request) in requests.iter().enumerate() {
        let path = requests_path.index(index);
        validate_request(request, &path, errors);
        let name = request.text("name");
        if requests[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
    }
    let known = names_of(requests);
    validate_constraints(devices.items("constraints"), &known, &devices_path.child("constraints"), errors);
    let config_path = devices_path.child("config");
    let config = devices.items("config");
    if config.len() > MAX_ITEMS {
        errors.too_many(&config_path, config.len(), MAX_ITEMS);
    }
    for (index, item) in config.iter().enumerate() {
        let path = config_path.index(index);
        validate_references(item.items("requests"), &known, &path.child("requests"), errors);
        validate_configuration(item, &path, errors);
    }
}

fn validate_name(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
    } else {
        validate_label(name, path, errors);
    }
}

fn validate_request(request: &Value, path: &Path, errors: &mut Errors) {
    validate_name(request.text("name"), &path.child("name"), errors);
    let alternatives = request.items("firstAvailable");
    match (request.has("exactly"), alternatives.is_empty()) {
        (true, false) => errors.invalid(
            path,
            Value::Null,
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
        ),
        (false, true) => errors.required(path, "exactly one of `exactly` or `firstAvailable` is required"),
        (true, true) => validate_devices(&request["exactly"], &path.child("exactly"), errors),
        (false, false) => {
            let list_path = path.child("firstAvailable");
            if alternatives.len() > MAX_ALTERNATIVES {
                errors.too_many(&list_path, alternatives.len(), MAX_ALTERNATIVES);
            }
            for (index, alternative) in alternatives.iter().enumerate() {
                let path = list_path.index(index);
                let name = alternative.text("name");
                validate_name(name, &path.child("name"), errors);
                if alternatives[..index].iter().any(|other| other.text("name") == name) {
                    errors.duplicate(&path.child("name"), name);
                }
                validate_devices(alternative, &path, errors);
            }
        }
    }
}

/// What a request and each of its alternatives say.
fn validate_devices(request: &Value, path: &Path, errors: &mut Errors) {
    let class = request.text("deviceClassName");
    if class.is_empty() {
        errors.required(&path.child("deviceClassName"), "");
    } else {
        let found = names::errors(NameRule::Subdomain, class);
        errors.invalid_each(&path.child("deviceClassName"), &request["deviceClassName"], found);
    }
    validate_selectors(request.items("selectors"), &path.child("selectors"), errors);
    let count = request.int("count").unwrap_or(0);
    match request.text("allocationMode") {
        "ExactCount" if count <= 0 => {
            errors.invalid(&path.child("count"), count, "must be greater than zero");
        }
        "All" if count != 0 => {
            errors.invalid(&path.child("count"), count, "must not be specified when allocationMode is 'All'");
        }
        "ExactCount" | "All" => {}
        other => errors.unsupported(&path.child("allocationMode"), other, &["All", "ExactCount"]),
    }
    validate_tolerations(request.items("tolerations"), &path.child("tolerations"), errors);
    let capacity_path = path.child("capacity");
    sharing::validate_requested(&request["capacity"]["requests"], &capacity_path.child("requests"), errors);
}

fn validate_tolerations(tolerations: &[Value], path: &Path, errors: &mut Errors) {
    if tolerations.len() > MAX_TOLERATIONS {
        errors.too_many(path, tolerations.len(), MAX_TOLERATIONS);
    }
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, value) = (toleration.text("key"), toleration.text("value"));
        if !key.is_empty() {
            errors.invalid_each(&path.child("key"), &toleration["key"], names::qualified_name_errors(key));
        }
        match toleration.text("operator") {
            "Exists" => {
                if !value.is_empty() {
                    errors.invalid(&path.child("value"), value, "must be empty for operator `Exists`");
                }
            }
            "Equal" => errors.invalid_each(
                &path.child("value"),
                &Value::from(value),
                names::label_value_errors(value),
            ),
            "" => errors.required(&path.child("operator"), ""),
            other => errors.unsupported(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        let effect = toleration.text("effect");
        if !effect.is_empty() {
            validate_effect(effect, &path.child("effect"), errors);
        }
    }
}

fn validate_constraints(constraints: &[Value], known: &[String], path: &Path, errors: &mut Errors) {
    if constraints.len() > MAX_ITEMS {
        errors.too_many(path, constraints.len(), MAX_ITEMS);
    }
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        validate_references(constraint.items("requests"), known, &path.child("requests"), errors);
        match (constraint.has("matchAttribute"), constraint.has("distinctAttribute")) {
            (false, false) => {
                errors.required(&path, "exactly one of `matchAttribute` or `distinctAttribute` is required");
            }
            (true, true) => errors.invalid(
                &path,
                Value::Null,
                "exactly one of `matchAttribute` or `distinctAttribute` is required, but multiple fields are set",
            ),
            _ => {}
        }
        for key in ["matchAttribute", "distinctAttribute"] {
            if constraint.has(key) {
                validate_attribute(constraint.text(key), &path.child(key), errors);
            }
        }
    }
}

/// An attribute's name with the domain of who defines it.
fn validate_attribute(name: &str, path: &Path, errors: &mut Errors) {
    match name.split_once('/') {
        None => errors.invalid(path, name, "must include a domain"),
        Some((domain, _)) => validate_driver(domain, path, errors),
    }
}

fn validate_references(references: &[Value], known: &[String], path: &Path, errors: &mut Errors) {
    if references.len() > MAX_ITEMS {
        errors.too_many(path, references.len(), MAX_ITEMS);
    }
    for (index, reference) in references.iter().enumerate() {
        if !known.iter().any(|name| reference == name) {
            errors.invalid(
                &path.index(index),
                reference.clone(),
                "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
            );
        }
        if references[..index].contains(reference) {
            errors.duplicate(&path.index(index), reference.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn claims_hang_together() {
        let gpu = json!({"name": "gpu", "exactly": {"deviceClassName": "a.example", "allocationMode": "ExactCount", "count": 1}});
        for (devices, expected) in [
            (
                json!({"requests": [gpu], "constraints": [{"requests": ["gpu"], "matchAttribute": "a.example/numa"}]}),
                "",
            ),
            (
                json!({"requests": [gpu, gpu], "constraints": [{"requests": ["cpu"], "matchAttribute": "numa"}]}),
                "devices.requests[1].name: Duplicate value: \"gpu\"\n\
                 devices.constraints[0].requests[0]: Invalid value: \"cpu\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'\n\
                 devices.constraints[0].matchAttribute: Invalid value: \"numa\": must include a domain",
            ),
            (
                json!({"requests": [{"name": "gpu", "firstAvailable": [{"name": "big", "deviceClassName": "a.example", "allocationMode": "All", "count": 2}]}],
                    "config": [{"requests": ["gpu/big"], "opaque": {"driver": "a.example"}}]}),
                "devices.requests[0].firstAvailable[0].count: Invalid value: 2: must not be specified when allocationMode is 'All'\n\
                 devices.config[0].opaque.parameters: Required value",
            ),
            (
                json!({"requests": [{"name": "gpu", "exactly": {"deviceClassName": "a.example", "allocationMode": "All",
                    "selectors": [{}], "tolerations": [{"operator": "Exists", "value": "x"}]}}]}),
                "devices.requests[0].exactly.selectors[0].cel: Required value\n\
                 devices.requests[0].exactly.tolerations[0].value: Invalid value: \"x\": must be empty for operator `Exists`",
            ),
        ] {
            let spec = json!({ "devices": devices });
            assert_eq!(found(|errors| validate(&spec, &Path::root(""), errors)), expected, "{spec}");
        }
    }
}
