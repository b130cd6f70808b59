//! Validation of which devices a claim asks for.

use serde_json::Value;

use super::slice::{EFFECTS, validate_fact_name};
use super::{Judged, MAX_ITEMS, lists, names_of, selector, validate_configuration};
use pod_strategy::probes::validate_label;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

/// How many alternatives a request may name.
const MAX_ALTERNATIVES: usize = 8;

/// Validates the spec of a claim, also of one in a template.
pub(super) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    let devices = &spec["devices"];
    let path = path.child("devices");
    let requests = devices.items("requests");
    let requests_path = path.child("requests");
    lists::set(requests, MAX_ITEMS, |request| request.text("name"), &requests_path, errors, validate_request);
    let known = names_of(requests);
    let constraints = devices.items("constraints");
    lists::each(constraints, MAX_ITEMS, &path.child("constraints"), errors, |constraint, path, errors| {
        validate_constraint(constraint, &known, path, errors);
    });
    lists::each(devices.items("config"), MAX_ITEMS, &path.child("config"), errors, |item, path, errors| {
        validate_references(item.items("requests"), &known, &path.child("requests"), errors);
        validate_configuration(item, Judged::New, path, errors);
    });
}

fn validate_request(request: &Value, path: &Path, errors: &mut Errors) {
    validate_label(request.text("name"), &path.child("name"), errors);
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
            let path = path.child("firstAvailable");
            let name = |alternative: &'_ Value| alternative.text("name").to_owned();
            lists::set(alternatives, MAX_ALTERNATIVES, name, &path, errors, |alternative, path, errors| {
                validate_label(alternative.text("name"), &path.child("name"), errors);
                validate_devices(alternative, path, errors);
            });
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
    selector::validate(request.items("selectors"), Judged::New, &path.child("selectors"), errors);
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
}

/// Validates which taints of devices are put up with. As upstream, it does not hold them to the number it writes of.
pub(super) fn validate_tolerations(tolerations: &[Value], path: &Path, errors: &mut Errors) {
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
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            errors.unsupported(&path.child("effect"), effect, &EFFECTS);
        }
    }
}

fn validate_constraint(constraint: &Value, known: &[String], path: &Path, errors: &mut Errors) {
    validate_references(constraint.items("requests"), known, &path.child("requests"), errors);
    match ["matchAttribute", "distinctAttribute"].into_iter().find(|key| constraint.has(key)) {
        Some(key) => validate_attribute(constraint.text(key), &path.child(key), errors),
        // The end of it is upstream's, too.
        None => errors.required(
            path,
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
        ),
    }
}

/// An attribute's name with the domain of who defines it.
fn validate_attribute(name: &str, path: &Path, errors: &mut Errors) {
    validate_fact_name(name, path, errors);
    if !name.contains('/') {
        let why = "a fully qualified name must be a domain and a name separated by a slash";
        errors.invalid(path, name, why);
    }
}

/// Validates names of requests, or of alternatives behind a slash.
pub(super) fn validate_references(references: &[Value], known: &[String], path: &Path, errors: &mut Errors) {
    let key = |reference: &Value| reference.as_str().unwrap_or_default().to_owned();
    lists::set(references, MAX_ITEMS, key, path, errors, |reference, path, errors| {
        validate_reference(reference.as_str().unwrap_or_default(), known, path, errors);
    });
}

/// Validates the name of a request, or of an alternative behind a slash.
pub(super) fn validate_reference(reference: &str, known: &[String], path: &Path, errors: &mut Errors) {
    let is_short = reference.split('/').count() <= 2;
    if is_short {
        for name in reference.split('/') {
            validate_label(name, path, errors);
        }
    }
    if !is_short || !known.iter().any(|name| reference == name) {
        errors.invalid(
            path,
            reference,
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
        );
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
                "devices.requests[1]: Duplicate value: \"gpu\"\n\
                 devices.constraints[0].requests[0]: Invalid value: \"cpu\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'\n\
                 devices.constraints[0].matchAttribute: Invalid value: \"numa\": a fully qualified name must be a domain and a name separated by a slash",
            ),
            (
                json!({"requests": [gpu], "constraints": [
                    {"matchAttribute": "a.example/", "distinctAttribute": "x"}, {"distinctAttribute": "/x"},
                    {"requests": ["gpu/a/b", "gpu/a", "gpu", "gpu"]}]}),
                "devices.constraints[0].matchAttribute: Invalid value: \"\": the name must not be empty\n\
                 devices.constraints[1].distinctAttribute: Invalid value: \"\": the domain must not be empty\n\
                 devices.constraints[2].requests[0]: Invalid value: \"gpu/a/b\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'\n\
                 devices.constraints[2].requests[1]: Invalid value: \"gpu/a\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'\n\
                 devices.constraints[2].requests[3]: Duplicate value: \"gpu\"\n\
                 devices.constraints[2]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
            ),
            (
                json!({"requests": vec![json!({}); 33]}),
                "devices.requests: Too many: 33: must have at most 32 items",
            ),
            (
                json!({"config": [{"opaque": {"driver": "A.example", "parameters": {}}}, {"opaque": {"parameters": 1}},
                    {"opaque": {"driver": "a.example", "parameters": {"x": "y".repeat(10240)}}}]}),
                "devices.config[1].opaque.driver: Required value\n\
                 devices.config[1].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object\n\
                 devices.config[2].opaque.parameters: Too long: may not be more than 10240 bytes",
            ),
            (
                json!({"requests": [{"name": "gpu", "firstAvailable": [{"name": "big", "deviceClassName": "a.example", "allocationMode": "All", "count": 2}]}],
                    "config": [{"requests": ["gpu/big"], "opaque": {"driver": "a.example"}}]}),
                "devices.requests[0].firstAvailable[0].count: Invalid value: 2: must not be specified when allocationMode is 'All'\n\
                 devices.config[0].opaque.parameters: Required value",
            ),
            (
                json!({"requests": [{"name": "gpu", "exactly": {"deviceClassName": "a.example", "allocationMode": "All",
                    "selectors": [{}], "tolerations": [{"operator": "Exists", "value": "x"}, {"operator": "Exists", "effect": "PreferNoSchedule"}]}}]}),
                "devices.requests[0].exactly.selectors[0].cel: Required value\n\
                 devices.requests[0].exactly.tolerations[0].value: Invalid value: \"x\": must be empty for operator `Exists`\n\
                 devices.requests[0].exactly.tolerations[1].effect: Unsupported value: \"PreferNoSchedule\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
            ),
            (
                json!({"requests": [{"name": "gpu", "exactly": {"deviceClassName": "a.example", "allocationMode": "All",
                    "capacity": {"requests": {"1st": "-1"}}, "tolerations": vec![json!({"operator": "Exists"}); 17]}}]}),
                "",
            ),
        ] {
            let spec = json!({ "devices": devices });
            assert_eq!(found(|errors| validate(&spec, &Path::root(""), errors)), expected, "{spec}");
        }
    }
}
