//! The kinds of dynamic resource allocation: DeviceClasses, ResourceClaims, their templates, ResourceSlices.

use std::borrow::Cow;

use serde_json::Value;

use pod_strategy::probes::validate_label;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy, field_text};

/// The rules of DeviceClasses.
pub struct DeviceClass;
/// The rules of ResourceClaims.
pub struct ResourceClaim;
/// The rules of ResourceClaimTemplates.
pub struct ResourceClaimTemplate;
/// The rules of ResourceSlices.
pub struct ResourceSlice;

const SPEC: Path<'static> = Path::root("spec");
const MAX_REQUESTS: usize = 32;
const MAX_DEVICES: usize = 128;

impl Strategy for DeviceClass {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        for (index, selector) in object["spec"].items("selectors").iter().enumerate() {
            let list_path = SPEC.child("selectors");
            let path = list_path.index(index);
            if selector["cel"].text("expression").is_empty() {
                errors.required(&path.child("cel"), "");
            }
        }
    }
}

fn default_requests(devices: &mut Value) {
    for request in write::items(devices, "requests") {
        if let Some(exactly) = write::object(request, "exactly") {
            default_request(exactly);
        }
        for option in write::items(request, "firstAvailable") {
            default_request(option);
        }
    }
}

fn default_request(request: &mut Value) {
    write::zero(request, "allocationMode", "ExactCount");
    if request.text("allocationMode") == "ExactCount" {
        write::zero(request, "count", 1);
    }
    for toleration in write::items(request, "tolerations") {
        write::zero(toleration, "operator", "Equal");
    }
}

fn validate_claim(spec: &Value, path: &Path, errors: &mut Errors) {
    let devices_path = path.child("devices");
    let requests_path = devices_path.child("requests");
    let requests = spec["devices"].items("requests");
    if requests.len() > MAX_REQUESTS {
        errors.too_many(&requests_path, requests.len(), MAX_REQUESTS);
    }
    for (index, request) in requests.iter().enumerate() {
        let path = requests_path.index(index);
        let name = request.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            validate_label(name, &path.child("name"), errors);
        }
        if requests[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path, name);
        }
        let options = request.items("firstAvailable");
        match (request.has("exactly"), options.is_empty()) {
            (true, false) => errors.invalid(
                &path,
                Value::Null,
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
            ),
            (false, true) => {
                errors.required(&path, "exactly one of `exactly` or `firstAvailable` is required");
            }
            (true, true) => validate_request(&request["exactly"], &path.child("exactly"), errors),
            (false, false) => {
                for (index, option) in options.iter().enumerate() {
                    validate_request(option, &path.child("firstAvailable").index(index), errors);
                }
            }
        }
    }
}

fn validate_request(request: &Value, path: &Path, errors: &mut Errors) {
    let class = request.text("deviceClassName");
    if class.is_empty() {
        errors.required(&path.child("deviceClassName"), "");
    } else {
        let found = names::errors(NameRule::Subdomain, class);
        errors.invalid_each(&path.child("deviceClassName"), &request["deviceClassName"], found);
    }
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
}

impl Strategy for ResourceClaim {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        default_requests(write::ensure(write::ensure(object, "spec"), "devices"));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_claim(&object["spec"], &SPEC, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (status, before) = (&new["status"], &old["status"]);
        let path = Path::root("status");
        if before.has("allocation") && status.has("allocation") {
            errors.immutable(&path.child("allocation"), &status["allocation"], &before["allocation"]);
        }
        let consumers = status.items("reservedFor");
        if consumers.len() > 256 {
            errors.too_many(&path.child("reservedFor"), consumers.len(), 256);
        }
        if !consumers.is_empty() && !status.has("allocation") {
            errors.forbidden(&path.child("reservedFor"), "may not be specified when `allocated` is not set");
        }
    }
}

impl Strategy for ResourceClaimTemplate {
    fn default(&self, object: &mut Value) {
        let spec = write::ensure(write::ensure(object, "spec"), "spec");
        default_requests(write::ensure(spec, "devices"));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_claim(&object["spec"]["spec"], &SPEC.child("spec"), errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }
}

impl Strategy for ResourceSlice {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if spec.text("driver").is_empty() {
            errors.required(&SPEC.child("driver"), "");
        }
        let pool_path = SPEC.child("pool");
        if spec["pool"].text("name").is_empty() {
            errors.required(&pool_path.child("name"), "");
        }
        let count = spec["pool"].int("resourceSliceCount").unwrap_or(0);
        if count <= 0 {
            errors.invalid(&pool_path.child("resourceSliceCount"), count, "must be greater than zero");
        }
        let placed = [
            !spec.text("nodeName").is_empty(),
            spec.has("nodeSelector"),
            spec.flag("allNodes") == Some(true),
            spec.flag("perDeviceNodeSelection") == Some(true),
        ];
        match placed.iter().filter(|set| **set).count() {
            0 => errors.required(&SPEC, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"),
            1 => {}
            _ => errors.invalid(&SPEC, Value::Null, "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set"),
        }
        let devices = spec.items("devices");
        let devices_path = SPEC.child("devices");
        if devices.len() > MAX_DEVICES {
            errors.too_many(&devices_path, devices.len(), MAX_DEVICES);
        }
        for (index, device) in devices.iter().enumerate() {
            let path = devices_path.index(index);
            let name = device.text("name");
            validate_label(name, &path.child("name"), errors);
            if devices[..index].iter().any(|other| other.text("name") == name) {
                errors.duplicate(&path, name);
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for key in ["driver", "nodeName", "nodeSelector", "allNodes"] {
            errors.immutable(&SPEC.child(key), &new["spec"][key], &old["spec"][key]);
        }
        let name = (&new["spec"]["pool"]["name"], &old["spec"]["pool"]["name"]);
        errors.immutable(&SPEC.child("pool").child("name"), name.0, name.1);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.nodeName", "spec.driver"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        self.selectable_fields().contains(&name).then(|| field_text(object, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn claims_say_which_devices() {
        let claim = |request: Value| json!({"spec": {"devices": {"requests": [request]}}});
        let good = claim(json!({"name": "gpu", "exactly": {"deviceClassName": "a.example"}}));
        assert_eq!(created(&ResourceClaim, good.clone()), "");
        assert_eq!(
            created(&ResourceClaim, claim(json!({"name": "gpu"}))),
            "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"
        );
        assert!(updated(&ResourceClaim, claim(json!({"name": "b"})), good).ends_with("field is immutable"));
    }
}
