//! Validation of the devices that a driver publishes.

use serde_json::Value;

use super::{sharing, validate_driver, validate_pool};
use pod_strategy::probes::validate_label;
use pod_strategy::resources::quantity;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::selectors;

const MAX_DEVICES: usize = 128;
/// As many where any of them has taints or draws on counters.
const MAX_COSTLY_DEVICES: usize = 64;
/// Attributes and capacities that a device may have together.
const MAX_FACTS: usize = 32;
const MAX_TAINTS: usize = 16;
const LONGEST_NAME: usize = 32;
const LONGEST_VALUE: usize = 64;
const PLACES: [&str; 4] = ["nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection"];

/// Validates the spec of a slice.
pub(super) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    if spec.text("driver").is_empty() {
        errors.required(&path.child("driver"), "");
    } else {
        validate_driver(spec.text("driver"), &path.child("driver"), errors);
    }
    let pool_path = path.child("pool");
    validate_pool(spec["pool"].text("name"), &pool_path.child("name"), errors);
    let count = spec["pool"].int("resourceSliceCount").unwrap_or(0);
    if count <= 0 {
        errors.invalid(&pool_path.child("resourceSliceCount"), count, "must be greater than zero");
    }
    if let Some(generation) = spec["pool"].int("generation").filter(|generation| *generation < 0) {
        let why = "must be greater than or equal to zero";
        errors.invalid(&pool_path.child("generation"), generation, why);
    }
    validate_place(spec, &PLACES, path, errors);
    let devices = spec.items("devices");
    let devices_path = path.child("devices");
    let costly =
        |device: &Value| !device.items("taints").is_empty() || !device.items("consumesCounters").is_empty();
    let most = if devices.iter().any(costly) { MAX_COSTLY_DEVICES } else { MAX_DEVICES };
    if devices.len() > most {
        errors.too_many(&devices_path, devices.len(), most);
    }
    let counters = spec.items("sharedCounters");
    if !counters.is_empty() && !devices.is_empty() {
        errors.invalid(path, Value::Null, "only one of `sharedCounters` or `devices` is allowed");
    }
    sharing::validate_sets(counters, &path.child("sharedCounters"), errors);
    for (index, device) in devices.iter().enumerate() {
        let path = devices_path.index(index);
        let name = device.text("name");
        validate_label(name, &path.child("name"), errors);
        if devices[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
        validate_device(device, &path, errors);
        if spec.flag("perDeviceNodeSelection") == Some(true) {
            validate_place(device, &PLACES[..3], &path, errors);
        }
    }
}

/// A slice, or each of its devices, is on one node, on some or on all.
fn validate_place(object: &Value, places: &[&str], path: &Path, errors: &mut Errors) {
    let set = |key: &str| match key {
        "nodeName" => !object.text(key).is_empty(),
        "nodeSelector" => object.has(key),
        _ => object.flag(key) == Some(true),
    };
    let quoted: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
    let list = quoted.join(", ");
    match places.iter().filter(|key| set(key)).count() {
        0 => errors.required(path, format!("exactly one of {list} is required")),
        1 => {}
        _ => errors.invalid(
            path,
            Value::Null,
            format!("exactly one of {list} is required, but multiple fields are set"),
        ),
    }
    let node = object.text("nodeName");
    if !node.is_empty() {
        let found = names::errors(NameRule::Subdomain, node);
        errors.invalid_each(&path.child("nodeName"), &object["nodeName"], found);
    }
    if object.has("nodeSelector") {
        let path = path.child("nodeSelector");
        selectors::validate_node_selector(&object["nodeSelector"], &path, errors);
        let terms = object["nodeSelector"].items("nodeSelectorTerms");
        if terms.len() > 1 {
            let path = path.child("nodeSelectorTerms");
            errors.invalid(&path, terms.to_vec(), "must have exactly one node selector term");
        }
    }
}

fn validate_device(device: &Value, path: &Path, errors: &mut Errors) {
    let facts = device.entries("attributes").count() + device.entries("capacity").count();
    if facts > MAX_FACTS {
        errors.invalid(
            path,
            facts,
            format!("the total number of attributes and capacities must not exceed {MAX_FACTS}"),
        );
    }
    for (name, attribute) in device.entries("attributes") {
        let list_path = path.child("attributes");
        let path = list_path.key(name);
        validate_fact_name(name, &path, errors);
        validate_attribute(attribute, &path, errors);
    }
    for (name, capacity) in device.entries("capacity") {
        let list_path = path.child("capacity");
        let path = list_path.key(name);
        validate_fact_name(name, &path, errors);
        if quantity(&capacity["value"]).is_none() {
            errors.required(&path.child("value"), "");
        }
        let shared = device.flag("allowMultipleAllocations") == Some(true);
        sharing::validate_request_policy(capacity, shared, &path, errors);
    }
    let consumed = device.items("consumesCounters");
    sharing::validate_consumed(consumed, &path.child("consumesCounters"), errors);
    sharing::validate_conditions(device, path, errors);
    let taints = device.items("taints");
    let taints_path = path.child("taints");
    if taints.len() > MAX_TAINTS {
        errors.too_many(&taints_path, taints.len(), MAX_TAINTS);
    }
    for (index, taint) in taints.iter().enumerate() {
        let path = taints_path.index(index);
        let key = taint.text("key");
        errors.invalid_each(&path.child("key"), &Value::from(key), names::qualified_name_errors(key));
        let found = names::label_value_errors(taint.text("value"));
        errors.invalid_each(&path.child("value"), &taint["value"], found);
        match taint.text("effect") {
            "None" | "NoSchedule" | "NoExecute" => {}
            "" => errors.required(&path.child("effect"), ""),
            other => {
                errors.unsupported(&path.child("effect"), other, &["NoExecute", "NoSchedule", "None"]);
            }
        }
    }
}

/// An identifier of C's, with or without the domain of who defines it.
pub(super) fn validate_fact_name(name: &str, path: &Path, errors: &mut Errors) {
    let identifier = match name.split_once('/') {
        Some((domain, identifier)) => {
            validate_driver(domain, path, errors);
            identifier
        }
        None => name,
    };
    if identifier.is_empty() {
        errors.required(path, "the name must not be empty");
        return;
    }
    if identifier.len() > LONGEST_NAME {
        errors.too_long(path, LONGEST_NAME);
    }
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let bytes = identifier.as_bytes();
    if !first(bytes[0]) || !bytes.iter().all(|byte| first(*byte) || byte.is_ascii_digit()) {
        errors.invalid(
            path,
            identifier,
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
        );
    }
}

fn validate_attribute(attribute: &Value, path: &Path, errors: &mut Errors) {
    let given = ["int", "bool", "string", "version"].iter().filter(|key| attribute.has(key)).count();
    match given {
        0 => errors.required(path, "exactly one value must be specified"),
        1 => {}
        _ => errors.invalid(path, attribute.clone(), "exactly one value must be specified"),
    }
    for key in ["string", "version"] {
        if attribute.text(key).len() > LONGEST_VALUE {
            errors.too_long(&path.child(key), LONGEST_VALUE);
        }
    }
    if attribute.has("version") && !is_semantic_version(attribute.text("version")) {
        errors.invalid(
            &path.child("version"),
            attribute.text("version"),
            "must be a string compatible with semver.org spec 2.0.0",
        );
    }
}

/// `1.2.3`, with a pre-release and build data or without.
fn is_semantic_version(text: &str) -> bool {
    let (core, rest) = match text.find(['-', '+']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let words = |text: &str| {
        text.split('.').all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    let (before, build) = rest.split_once('+').map_or((rest, None), |(before, build)| (before, Some(build)));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && before.strip_prefix('-').map_or(before.is_empty(), words)
        && build.is_none_or(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn devices_are_described_in_one_way_each() {
        let check = |device: Value| {
            let spec = json!({"driver": "a.example", "nodeName": "w1", "devices": [device],
                "pool": {"name": "p/q", "resourceSliceCount": 1}});
            found(|errors| validate(&spec, &Path::root("spec"), errors))
        };
        for (device, expected) in [
            (
                json!({"name": "d", "attributes": {"model": {"string": "x"}, "a.example/driver": {"version": "1.2.3-rc.1+b"}}}),
                "",
            ),
            (
                json!({"name": "d", "attributes": {"1st": {"int": 1, "bool": true}}}),
                "spec.devices[0].attributes[1st]: Invalid value: \"1st\": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')\n\
                 spec.devices[0].attributes[1st]: Invalid value: {\"bool\":true,\"int\":1}: exactly one value must be specified",
            ),
            (
                json!({"name": "d", "attributes": {"v": {"version": "1.02.3"}}}),
                "spec.devices[0].attributes[v].version: Invalid value: \"1.02.3\": must be a string compatible with semver.org spec 2.0.0",
            ),
            (
                json!({"name": "d", "taints": [{"key": "a.example/broken"}]}),
                "spec.devices[0].taints[0].effect: Required value",
            ),
        ] {
            assert_eq!(check(device), expected);
        }
    }

    #[test]
    fn slices_are_in_one_place() {
        let check = |place: Value| {
            let mut spec = json!({"driver": "a.example", "pool": {"name": "p", "resourceSliceCount": 1}});
            spec.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
            found(|errors| validate(&spec, &Path::root("spec"), errors))
        };
        assert_eq!(check(json!({"allNodes": true})), "");
        assert_eq!(
            check(json!({})),
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        );
        assert_eq!(
            check(json!({"perDeviceNodeSelection": true, "devices": [{"name": "d"}]})),
            "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes` is required"
        );
    }
}
