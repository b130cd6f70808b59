//! Validation of what a claim got, and of those for whom it is kept.

use serde_json::{Value, json};

use super::claim::{validate_reference, validate_references, validate_tolerations};
use super::{Judged, MAX_ITEMS, lists, names_of, sharing};
use super::{validate_configuration, validate_driver, validate_parameters, validate_pool};
use crate::conditions;
use pod_strategy::probes::validate_label;
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::selectors;
use strategy::write;

const MAX_CONSUMERS: usize = 256;
const MAX_RESULTS: usize = 32;
const MAX_CONDITIONS: usize = 8;
const MAX_ADDRESSES: usize = 16;
const LONGEST_INTERFACE: usize = 256;
const LONGEST_HARDWARE_ADDRESS: usize = 128;
const SOURCES: [&str; 2] = ["FromClaim", "FromClass"];

/// Drops what drivers told of devices, or of shares of them, that the claim had and has no more.
pub(super) fn forget_released(new: &mut Value, old: &Value) {
    let results = |claim: &Value| -> Vec<String> {
        claim["status"]["allocation"]["devices"].items("results").iter().map(identity).collect()
    };
    let (had, has) = (results(old), results(new));
    let Some(status) = write::object(new, "status") else { return };
    let told = status.items("devices");
    let kept: Vec<Value> = told
        .iter()
        .filter(|device| has.contains(&identity(device)) || !had.contains(&identity(device)))
        .cloned()
        .collect();
    if kept.is_empty() {
        write::remove(status, "devices");
    } else if kept.len() < told.len() {
        write::set(status, "devices", kept);
    }
}

/// Validates a new status of a claim.
pub(super) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    let (status, before) = (&new["status"], &old["status"]);
    let (consumers, allocation) = (status.items("reservedFor"), &status["allocation"]);
    let path = Path::root("status");
    let reserved_path = path.child("reservedFor");
    let uid = |consumer: &Value| consumer.text("uid").to_owned();
    lists::set(consumers, MAX_CONSUMERS, uid, &reserved_path, errors, validate_consumer);
    let results = allocation["devices"].items("results");
    let allocated: Vec<String> = results.iter().map(identity).collect();
    lists::set(
        status.items("devices"),
        usize::MAX,
        identity,
        &path.child("devices"),
        errors,
        |device, path, errors| {
            validate_device(device, &allocated, path, errors);
        },
    );
    if !consumers.is_empty() && allocation.is_null() {
        errors.forbidden(&reserved_path, "may not be specified when `allocated` is not set");
    } else if new["metadata"].has("deletionTimestamp") {
        // Those who leave may do so, but nobody comes to a claim that goes.
        let earlier = before.items("reservedFor");
        if consumers.iter().any(|consumer| !earlier.contains(consumer)) {
            let why =
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.forbidden(&reserved_path, why);
        }
    }
    let path = path.child("allocation");
    if allocation.is_null() {
        return;
    }
    // What was allocated before is not judged again.
    if before.has("allocation") {
        errors.immutable(&path, allocation, &before["allocation"]);
        return;
    }
    let known = names_of(new["spec"]["devices"].items("requests"));
    let devices_path = path.child("devices");
    lists::each(results, MAX_RESULTS, &devices_path.child("results"), errors, |result, path, errors| {
        validate_reference(result.text("request"), &known, &path.child("request"), errors);
        validate_identity(result, path, errors);
        sharing::validate_conditions(result, path, errors);
        validate_tolerations(result.items("tolerations"), &path.child("tolerations"), errors);
        validate_share(result, path, errors);
    });
    // Those of the claim and those of its classes.
    let config = allocation["devices"].items("config");
    lists::each(config, 2 * MAX_ITEMS, &devices_path.child("config"), errors, |item, path, errors| {
        match item.text("source") {
            "" => errors.required(&path.child("source"), ""),
            source if SOURCES.contains(&source) => {}
            other => errors.unsupported(&path.child("source"), other, &SOURCES),
        }
        validate_references(item.items("requests"), &known, &path.child("requests"), errors);
        validate_configuration(item, Judged::New, path, errors);
    });
    if allocation.has("nodeSelector") {
        selectors::validate_node_selector(&allocation["nodeSelector"], &path.child("nodeSelector"), errors);
    }
}

fn validate_consumer(consumer: &Value, path: &Path, errors: &mut Errors) {
    for key in ["resource", "name", "uid"] {
        if consumer.text(key).is_empty() {
            errors.required(&path.child(key), "");
        }
    }
}

/// A device, or the share of one, in the form in which upstream prints it.
fn identity(device: &Value) -> String {
    let [driver, pool, name, share] = ["driver", "pool", "device", "shareID"].map(|key| device.text(key));
    let end = if share.is_empty() { String::new() } else { format!("/{share}") };
    format!("{driver}/{pool}/{name}{end}")
}

fn validate_identity(device: &Value, path: &Path, errors: &mut Errors) {
    validate_driver(device.text("driver"), &path.child("driver"), errors);
    validate_pool(device.text("pool"), &path.child("pool"), errors);
    validate_label(device.text("device"), &path.child("device"), errors);
}

fn validate_share(device: &Value, path: &Path, errors: &mut Errors) {
    let (share, path) = (device.text("shareID"), path.child("shareID"));
    if !device.has("shareID") || is_normal_uid(share) {
        return;
    }
    let why = if share.len() == 36 && is_normal_uid(&share.to_ascii_lowercase()) {
        "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters".to_owned()
    } else if share.len() == 36 {
        "error validating uid: invalid UUID format".to_owned()
    } else {
        format!("error validating uid: invalid UUID length: {}", share.len())
    };
    errors.invalid(&path, share, why);
}

/// Five groups of digits with dashes between them.
fn is_normal_uid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_digit(byte),
        })
}

/// Validates what a driver tells of one of the devices.
fn validate_device(device: &Value, allocated: &[String], path: &Path, errors: &mut Errors) {
    validate_identity(device, path, errors);
    validate_share(device, path, errors);
    let identity = identity(device);
    if !allocated.contains(&identity) {
        errors.invalid(path, json!(identity), "must be an allocated device in the claim");
    }
    let conditions = device.items("conditions");
    let conditions_path = path.child("conditions");
    if conditions.len() > MAX_CONDITIONS {
        errors.too_many(&conditions_path, conditions.len(), MAX_CONDITIONS);
    }
    conditions::validate(conditions, &conditions_path, errors);
    if device.has("data") {
        validate_parameters(&device["data"], Judged::New, &path.child("data"), errors);
    }
    validate_network(&device["networkData"], &path.child("networkData"), errors);
}

/// Validates how a device is seen in the network.
fn validate_network(network: &Value, path: &Path, errors: &mut Errors) {
    for (key, longest) in
        [("interfaceName", LONGEST_INTERFACE), ("hardwareAddress", LONGEST_HARDWARE_ADDRESS)]
    {
        if network.text(key).len() > longest {
            errors.too_long(&path.child(key), longest);
        }
    }
    let address = |address: &Value| address.as_str().unwrap_or_default().to_owned();
    let validate = |item: &Value, path: &Path, errors: &mut Errors| {
        addresses::validate_interface(&address(item), path, errors);
    };
    lists::set(network.items("ips"), MAX_ADDRESSES, address, &path.child("ips"), errors, validate);
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::found;

    #[test]
    fn what_was_allocated_was_asked_for() {
        let result = json!({"request": "gpu", "driver": "a.example", "pool": "p", "device": "d"});
        let consumer = json!({"resource": "pods", "name": "a", "uid": "1"});
        let check = |status: Value, before: Value, goes: bool| {
            let spec = json!({"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "a.example"}}]}});
            let mut new = json!({"metadata": {}, "spec": spec, "status": status});
            if goes {
                new["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            let old = json!({"metadata": {}, "spec": spec, "status": before});
            found(|errors| validate(&new, &old, errors))
        };
        let allocated = json!({"allocation": {"devices": {"results": [result]}}, "reservedFor": [consumer]});
        let reference = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        for (status, before, goes, expected) in [
            (allocated.clone(), json!({}), false, String::new()),
            (allocated.clone(), allocated.clone(), true, String::new()),
            (
                allocated.clone(),
                json!({}),
                true,
                "status.reservedFor: Forbidden: new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set".to_owned(),
            ),
            (
                json!({"reservedFor": [consumer, {"resource": "pods", "uid": "1"}]}),
                json!({}),
                false,
                "status.reservedFor[1].name: Required value\n\
                 status.reservedFor[1]: Duplicate value: \"1\"\n\
                 status.reservedFor: Forbidden: may not be specified when `allocated` is not set"
                    .to_owned(),
            ),
            (
                json!({"allocation": {"devices": {
                    "results": [{"request": "cpu", "driver": "a.example", "pool": "p", "device": "d",
                        "shareID": "1", "bindingConditions": ["x"], "bindingFailureConditions": ["y"],
                        "tolerations": [{"operator": "Exists", "value": "v"}]}],
                    "config": [{"source": "Here", "requests": ["gpu"], "opaque": {"driver": "a.example", "parameters": {}}}, {}]}}}),
                json!({}),
                false,
                format!(
                    "status.allocation.devices.results[0].request: Invalid value: \"cpu\": {reference}\n\
                     status.allocation.devices.results[0].tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`\n\
                     status.allocation.devices.results[0].shareID: Invalid value: \"1\": error validating uid: invalid UUID length: 1\n\
                     status.allocation.devices.config[0].source: Unsupported value: \"Here\": supported values: \"FromClaim\", \"FromClass\"\n\
                     status.allocation.devices.config[1].source: Required value\n\
                     status.allocation.devices.config[1].opaque: Required value"
                ),
            ),
            (
                json!({"allocation": {"devices": {"results": [result]}}, "devices": [
                    {"driver": "a.example", "pool": "p", "device": "d", "data": {"x": 1}},
                    {"driver": "a.example", "pool": "p", "device": "e", "data": 5}]}),
                json!({}),
                false,
                "status.devices[1]: Invalid value: \"a.example/p/e\": must be an allocated device in the claim\n\
                 status.devices[1].data: Invalid value: \"<value omitted>\": must be a valid JSON object"
                    .to_owned(),
            ),
        ] {
            assert_eq!(check(status.clone(), before, goes), expected, "{status}");
        }
        let other = json!({"allocation": {"devices": {}}});
        assert!(check(other, allocated, false).ends_with("field is immutable"));
    }

    #[test]
    fn nothing_is_told_of_devices_that_were_given_back() {
        let device = |name: &str| json!({"driver": "a.example", "pool": "p", "device": name});
        let claim = |results: &[&str], told: &[&str]| {
            let [results, told] =
                [results, told].map(|names| names.iter().map(|name| device(name)).collect::<Vec<_>>());
            json!({"status": {"allocation": {"devices": {"results": results}}, "devices": told}})
        };
        for (had, has, told, left) in [
            (&["d", "e"][..], &["d", "e"][..], &["d"][..], &["d"][..]),
            (&["d", "e"], &["d"], &["d", "e"], &["d"]),
            // What it never had is for validation to refuse.
            (&["d"], &["d"], &["d", "x"], &["d", "x"]),
        ] {
            let mut new = claim(has, told);
            forget_released(&mut new, &claim(had, told));
            assert_eq!(new, claim(has, left), "{had:?} {has:?} {told:?}");
        }
        let share = |id: &str| json!({"driver": "a.example", "pool": "p", "device": "d", "shareID": id});
        let shared = |ids: &[&str]| {
            let results: Vec<Value> = ids.iter().map(|id| share(id)).collect();
            json!({"status": {"allocation": {"devices": {"results": results}}, "devices": [share("1"), share("2")]}})
        };
        let mut new = shared(&["1"]);
        forget_released(&mut new, &shared(&["1", "2"]));
        assert_eq!(new["status"]["devices"], json!([share("1")]));
        let mut new = json!({"status": {"devices": [device("d")]}});
        forget_released(&mut new, &claim(&["d"], &["d"]));
        assert_eq!(new, json!({"status": {}}));
    }

    #[test]
    fn devices_in_the_network_are_told_within_bounds() {
        let form = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        for (network, expected) in [
            (json!(null), String::new()),
            (
                json!({"interfaceName": "e".repeat(256), "hardwareAddress": "0".repeat(128),
                    "ips": ["10.9.8.7/24", "2001:db8::1/64"]}),
                String::new(),
            ),
            (
                json!({"interfaceName": "e".repeat(257), "hardwareAddress": "0".repeat(129)}),
                "n.interfaceName: Too long: may not be more than 256 bytes\n\
                 n.hardwareAddress: Too long: may not be more than 128 bytes"
                    .to_owned(),
            ),
            (
                json!({"ips": ["10.9.8.7", "2001:0db8::1/64", "10.9.8.7/24", "10.9.8.7/24"]}),
                format!(
                    "n.ips[0]: Invalid value: \"10.9.8.7\": {form}\n\
                     n.ips[1]: Invalid value: \"2001:0db8::1/64\": must be in canonical form (\"2001:db8::1/64\")\n\
                     n.ips[3]: Duplicate value: \"10.9.8.7/24\""
                ),
            ),
            (
                json!({"ips": vec!["10.9.8.7/24"; 17]}),
                "n.ips: Too many: 17: must have at most 16 items".to_owned(),
            ),
        ] {
            let told = found(|errors| validate_network(&network, &Path::root("n"), errors));
            assert_eq!(told, expected, "{network}");
        }
    }

    #[test]
    fn shares_are_named_by_normal_ids() {
        for (share, is_normal) in [
            ("123e4567-e89b-12d3-a456-426614174000", true),
            ("123E4567-e89b-12d3-a456-426614174000", false),
            ("123e4567xe89b-12d3-a456-426614174000", false),
            ("", false),
        ] {
            let device = json!({ "shareID": share });
            assert_eq!(
                found(|errors| validate_share(&device, &Path::root(""), errors)).is_empty(),
                is_normal,
                "{share}"
            );
        }
    }
}
