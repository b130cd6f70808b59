//! Validation of the devices that a driver publishes.

use serde_json::Value;

use super::{lists, sharing, validate_driver, validate_pool};
use pod_strategy::probes::validate_label;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;

const MAX_DEVICES: usize = 128;
/// As many where any of them has taints or draws on counters.
const MAX_COSTLY_DEVICES: usize = 64;
/// Attributes and capacities that a device may have together.
const MAX_FACTS: usize = 32;
const MAX_TAINTS: usize = 16;
const LONGEST_NAME: usize = 32;
const LONGEST_VALUE: usize = 64;
/// A domain, a slash and a name.
const LONGEST_KEY: usize = 63 + 1 + LONGEST_NAME;
/// What a taint of a device does.
pub(super) const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

/// Drops what a slice maps to resources of nodes, which is off upstream, unless it had that before.
pub(super) fn forget_mappings(slice: &mut Value, before: &Value) {
    const MAPPINGS: &str = "nodeAllocatableResourceMappings";
    let has = |device: &Value| device.entries(MAPPINGS).next().is_some();
    if before["spec"].items("devices").iter().any(has) {
        return;
    }
    let Some(spec) = write::object(slice, "spec") else { return };
    for device in write::items(spec, "devices") {
        write::remove(device, MAPPINGS);
    }
}

/// What to tell those who publish a slice.
pub(super) fn warnings(slice: &Value) -> Vec<String> {
    let driver = slice["spec"].text("driver");
    if driver == driver.to_lowercase() {
        return Vec::new();
    }
    vec![format!("spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters")]
}

/// Validates the spec of a slice, which was another one before, or null.
pub(super) fn validate(spec: &Value, before: &Value, path: &Path, errors: &mut Errors) {
    validate_driver(spec.text("driver"), &path.child("driver"), errors);
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
    if !before.is_null() {
        errors.immutable(&pool_path.child("name"), &spec["pool"]["name"], &before["pool"]["name"]);
        for key in ["driver", "nodeName"] {
            errors.immutable(&path.child(key), &spec[key], &before[key]);
        }
    }
    validate_place(spec, path, errors);
    let (devices, counters) = (spec.items("devices"), spec.items("sharedCounters"));
    if spec.has("sharedCounters") && spec.has("devices") {
        errors.invalid(path, "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let costly =
        |device: &Value| !device.items("taints").is_empty() || !device.items("consumesCounters").is_empty();
    let most = if devices.iter().any(costly) { MAX_COSTLY_DEVICES } else { MAX_DEVICES };
    let each_alone = spec.flag("perDeviceNodeSelection") == Some(true);
    let name = |device: &Value| device.text("name").to_owned();
    lists::set(devices, most, name, &path.child("devices"), errors, |device, path, errors| {
        let name = device.text("name");
        let before = before.items("devices").iter().find(|other| other.text("name") == name);
        validate_device(device, before.unwrap_or(&Value::Null), each_alone, path, errors);
    });
    sharing::validate_sets(counters, &path.child("sharedCounters"), errors);
}

/// A slice is on one node, on some or on all, or leaves it to its devices.
fn validate_place(spec: &Value, path: &Path, errors: &mut Errors) {
    let set = places(spec, "must be either unset or set to a non-empty string", path, errors);
    let terms = spec["nodeSelector"].items("nodeSelectorTerms");
    if spec.has("nodeSelector") && terms.len() != 1 {
        let selector_path = path.child("nodeSelector");
        let path = selector_path.child("nodeSelectorTerms");
        errors.invalid(&path, terms.to_vec(), "must have exactly one node selector term");
    }
    let why = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.required(path, why),
        1 => {}
        _ => errors.invalid(
            path,
            format!("{{{}}}", set.join(", ")),
            format!("{why}, but multiple fields are set"),
        ),
    }
}

/// A device is on one node, on some or on all, where its slice leaves it to it.
fn validate_own_place(device: &Value, each_alone: bool, path: &Path, errors: &mut Errors) {
    if !each_alone {
        if ["nodeName", "nodeSelector", "allNodes"].iter().any(|key| device.has(key)) {
            let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            errors.invalid(path, Value::Null, why);
        }
        return;
    }
    let set = places(device, "must not be empty", path, errors);
    let why = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    match set.len() {
        0 => errors.required(path, why),
        1 => {}
        _ => errors.invalid(path, format!("{{{}}}", set.join(", ")), why),
    }
}

/// Validates the places that are said, and names them as upstream quotes them.
fn places(object: &Value, no_name: &str, path: &Path, errors: &mut Errors) -> Vec<&'static str> {
    let mut set = Vec::new();
    if object.has("nodeName") {
        let (path, node) = (path.child("nodeName"), object.text("nodeName"));
        if node.is_empty() {
            errors.invalid(&path, "", no_name);
        } else {
            set.push("`nodeName`");
            errors.invalid_each(&path, &object["nodeName"], names::errors(NameRule::Subdomain, node));
        }
    }
    if object.has("nodeSelector") {
        set.push("`nodeSelector`");
        selectors::validate_node_selector(&object["nodeSelector"], &path.child("nodeSelector"), errors);
    }
    for (key, quoted) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")]
    {
        match object.flag(key) {
            Some(true) => set.push(quoted),
            Some(false) => errors.invalid(&path.child(key), false, "must be either unset or set to true"),
            None => {}
        }
    }
    set
}

fn validate_device(device: &Value, before: &Value, each_alone: bool, path: &Path, errors: &mut Errors) {
    validate_label(device.text("name"), &path.child("name"), errors);
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
        let shown = lists::shown(name, LONGEST_KEY);
        let path = list_path.key(&shown);
        validate_fact_name(name, &path, errors);
        validate_attribute(attribute, &path, errors);
    }
    // What stays as it was is not judged again.
    let capacity_stays = !before.is_null() && same(&device["capacity"], &before["capacity"]);
    for (name, capacity) in device.entries("capacity").filter(|_| !capacity_stays) {
        let list_path = path.child("capacity");
        let shown = lists::shown(name, LONGEST_KEY);
        let path = list_path.key(&shown);
        validate_fact_name(name, &path, errors);
        let shared = device.flag("allowMultipleAllocations") == Some(true);
        sharing::validate_request_policy(capacity, shared, &path, errors);
    }
    if !same(&device["taints"], &before["taints"]) {
        lists::each(device.items("taints"), MAX_TAINTS, &path.child("taints"), errors, validate_taint);
    }
    let consumed = device.items("consumesCounters");
    sharing::validate_consumed(consumed, &path.child("consumesCounters"), errors);
    validate_own_place(device, each_alone, path, errors);
    sharing::validate_conditions(device, path, errors);
}

fn validate_taint(taint: &Value, path: &Path, errors: &mut Errors) {
    validate_taint_text(taint, path, errors);
    validate_effect(taint, path, errors);
}

/// Validates key and value of a taint.
pub(super) fn validate_taint_text(taint: &Value, path: &Path, errors: &mut Errors) {
    let key = taint.text("key");
    errors.invalid_each(&path.child("key"), &Value::from(key), names::qualified_name_errors(key));
    let found = names::label_value_errors(taint.text("value"));
    errors.invalid_each(&path.child("value"), &taint["value"], found);
}

/// Validates what a taint does.
pub(super) fn validate_effect(taint: &Value, path: &Path, errors: &mut Errors) {
    match taint.text("effect") {
        "" => errors.required(&path.child("effect"), ""),
        effect if EFFECTS.contains(&effect) => {}
        other => errors.unsupported(&path.child("effect"), other, &EFFECTS),
    }
}

/// An identifier of C's, with or without the domain of who defines it.
pub(super) fn validate_fact_name(name: &str, path: &Path, errors: &mut Errors) {
    let parts: Vec<&str> = name.splitn(3, '/').collect();
    match parts[..] {
        [identifier] => validate_identifier(identifier, path, errors),
        [domain, identifier] => {
            if domain.is_empty() {
                errors.invalid(path, "", "the domain must not be empty");
            } else {
                validate_driver(domain, path, errors);
            }
            if identifier.is_empty() {
                errors.invalid(path, "", "the name must not be empty");
            } else {
                validate_identifier(identifier, path, errors);
            }
        }
        // Upstream takes these.
        _ => {}
    }
}

fn validate_identifier(identifier: &str, path: &Path, errors: &mut Errors) {
    if identifier.len() > LONGEST_NAME {
        errors.too_long(path, LONGEST_NAME);
    }
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let bytes = identifier.as_bytes();
    if !bytes.first().is_some_and(first) || !bytes.iter().all(|byte| first(byte) || byte.is_ascii_digit()) {
        errors.invalid(
            path,
            identifier,
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
        );
    }
}

fn validate_attribute(attribute: &Value, path: &Path, errors: &mut Errors) {
    if attribute.text("string").len() > LONGEST_VALUE {
        errors.too_long(&path.child("string"), LONGEST_VALUE);
    }
    if attribute.has("version") {
        let (path, version) = (path.child("version"), attribute.text("version"));
        if !is_semantic_version(version) {
            errors.invalid(&path, version, "must be a string compatible with semver.org spec 2.0.0");
        }
        if version.len() > LONGEST_VALUE {
            errors.too_long(&path, LONGEST_VALUE);
        }
    }
    match ["int", "bool", "string", "version"].iter().filter(|key| attribute.has(key)).count() {
        0 => errors.invalid(path, "", "exactly one value must be specified"),
        1 => {}
        _ => errors.invalid(path, attribute.clone(), "exactly one value must be specified"),
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
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // A word of digits is a number before a release, and only a word after it.
    let step =
        |word: &str| is_word(word) && (number(word) || !word.bytes().all(|byte| byte.is_ascii_digit()));
    let steps = |text: &str| text.split('.').all(step);
    let (before, build) = rest.split_once('+').map_or((rest, None), |(before, build)| (before, Some(build)));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && before.strip_prefix('-').map_or(before.is_empty(), steps)
        && build.is_none_or(|text| text.split('.').all(is_word))
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
            found(|errors| validate(&spec, &Value::Null, &Path::root("spec"), errors))
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
                json!({"name": "d", "attributes": {"v": {"version": "1.2.3-rc.01"}, "w": {"version": "1.2.3+01"}}}),
                "spec.devices[0].attributes[v].version: Invalid value: \"1.2.3-rc.01\": must be a string compatible with semver.org spec 2.0.0",
            ),
            (
                json!({"name": "d", "attributes": {"/a": {"int": 1}, "a.example/": {"int": 1}, "b": {}, "c/d/e": {"int": 1}}}),
                "spec.devices[0].attributes[/a]: Invalid value: \"\": the domain must not be empty\n\
                 spec.devices[0].attributes[a.example/]: Invalid value: \"\": the name must not be empty\n\
                 spec.devices[0].attributes[b]: Invalid value: \"\": exactly one value must be specified",
            ),
            (
                json!({"name": "d", "taints": [{"key": "a.example/broken"}, {"key": "a", "effect": "PreferNoSchedule"}]}),
                "spec.devices[0].taints[0].effect: Required value\n\
                 spec.devices[0].taints[1].effect: Unsupported value: \"PreferNoSchedule\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
            ),
            (
                json!({"name": "d", "taints": vec![json!({}); 17]}),
                "spec.devices[0].taints: Too many: 17: must have at most 16 items",
            ),
            (
                json!({"name": "d", "allNodes": false}),
                "spec.devices[0]: Invalid value: \"null\": `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
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
            found(|errors| validate(&spec, &Value::Null, &Path::root("spec"), errors))
        };
        assert_eq!(check(json!({"allNodes": true})), "");
        assert_eq!(
            check(json!({})),
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        );
        assert_eq!(
            check(json!({"nodeName": "", "allNodes": false})),
            "spec.nodeName: Invalid value: \"\": must be either unset or set to a non-empty string\n\
             spec.allNodes: Invalid value: false: must be either unset or set to true\n\
             spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        );
        assert_eq!(
            check(json!({"nodeName": "w1", "allNodes": true})),
            "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set"
        );
        assert_eq!(
            check(
                json!({"allNodes": true, "devices": [{"name": "d"}, {"name": "d"}], "sharedCounters": [{"name": "s"}]})
            ),
            "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed\n\
             spec.devices[1]: Duplicate value: \"d\"\n\
             spec.sharedCounters[0].counters: Required value"
        );
        let why = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
        assert_eq!(
            check(
                json!({"perDeviceNodeSelection": true, "devices": [{"name": "d"}, {"name": "e", "nodeName": "w1"},
                {"name": "f", "nodeName": "", "allNodes": true}, {"name": "g", "nodeName": "w1", "allNodes": true}]})
            ),
            format!(
                "spec.devices[0]: Required value: {why}\n\
                 spec.devices[2].nodeName: Invalid value: \"\": must not be empty\n\
                 spec.devices[3]: Invalid value: \"{{`nodeName`, `allNodes`}}\": {why}"
            )
        );
    }

    #[test]
    fn what_identifies_a_slice_stays() {
        let spec = |driver: &str, pool: &str, node: &str| {
            json!({"driver": driver, "nodeName": node, "pool": {"name": pool, "resourceSliceCount": 1},
                "devices": [{"name": ""}]})
        };
        let (old, new) = (spec("a.example", "p", "w1"), spec("b.example", "q", "w2"));
        let told = found(|errors| validate(&new, &old, &Path::root("spec"), errors));
        let places: Vec<&str> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(places[..3], ["spec.pool.name", "spec.driver", "spec.nodeName"], "{told}");
        assert_eq!(places[3], "spec.devices[0].name");
    }

    #[test]
    fn capacity_that_stays_is_not_judged_again() {
        let spec = json!({"driver": "a.example", "allNodes": true, "pool": {"name": "p", "resourceSliceCount": 1},
            "devices": [{"name": "d", "capacity": {"memory": {"requestPolicy": {}}}}]});
        let path = Path::root("spec");
        assert_eq!(found(|errors| validate(&spec, &spec, &path, errors)), "");
        assert_eq!(
            found(|errors| validate(&spec, &Value::Null, &path, errors)),
            "spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true"
        );
    }

    #[test]
    fn taints_that_stay_are_not_judged_again() {
        let spec = json!({"driver": "a.example", "allNodes": true, "pool": {"name": "p", "resourceSliceCount": 1},
            "devices": [{"name": "d", "taints": [{"key": "a"}]}]});
        let path = Path::root("spec");
        assert_eq!(found(|errors| validate(&spec, &spec, &path, errors)), "");
        assert_eq!(
            found(|errors| validate(&spec, &Value::Null, &path, errors)),
            "spec.devices[0].taints[0].effect: Required value"
        );
    }
}
