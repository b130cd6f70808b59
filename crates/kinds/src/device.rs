//! The kinds of dynamic resource allocation: DeviceClasses, ResourceClaims, their templates, ResourceSlices.

mod claim;
mod sharing;
mod slice;

use std::borrow::Cow;

use cel::Environment;
use cel::types::{Place, Record, Type};
use serde_json::Value;

use crate::admission_expressions::{self, Gives};

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
/// How many requests, selectors, constraints or configurations there may be.
const MAX_ITEMS: usize = 32;
const LONGEST_EXPRESSION: usize = 10 * 1024;
const LONGEST_DRIVER: usize = 63;
const LONGEST_POOL: usize = 253;

impl Strategy for DeviceClass {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_selectors(spec.items("selectors"), &SPEC.child("selectors"), errors);
        let config_path = SPEC.child("config");
        let config = spec.items("config");
        if config.len() > MAX_ITEMS {
            errors.too_many(&config_path, config.len(), MAX_ITEMS);
        }
        for (index, item) in config.iter().enumerate() {
            validate_configuration(item, &config_path.index(index), errors);
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

/// Names of requests, and of their alternatives behind a slash.
fn names_of(requests: &[Value]) -> Vec<String> {
    let mut known = Vec::new();
    for request in requests {
        let name = request.text("name");
        known.push(name.to_owned());
        for alternative in request.items("firstAvailable") {
            known.push(format!("{name}/{}", alternative.text("name")));
        }
    }
    known
}

/// What expressions may say of a device: attributes and capacities by the domain that defines them, and by name.
fn of_devices<'t>() -> Environment<'t> {
    let facts = |ty| Place::map(Place::map(Place::of(ty), u64::MAX), u64::MAX);
    let fields = vec![
        ("driver", Place::of(Type::String)),
        ("attributes", facts(Type::Dyn)),
        ("capacity", facts(Type::Opaque("kubernetes.Quantity"))),
        ("allowMultipleAllocations", Place::of(Type::Bool)),
    ];
    Environment::new().with("device", Record::of("kubernetes.DRADevice", fields))
}

/// Validates the expressions that choose devices.
fn validate_selectors(selectors: &[Value], path: &Path, errors: &mut Errors) {
    if selectors.len() > MAX_ITEMS {
        errors.too_many(path, selectors.len(), MAX_ITEMS);
    }
    for (index, selector) in selectors.iter().enumerate() {
        let item_path = path.index(index);
        let path = item_path.child("cel");
        let expression = selector["cel"].text("expression");
        if !selector.has("cel") {
            errors.required(&path, "");
        } else if expression.is_empty() {
            errors.required(&path.child("expression"), "");
        } else if expression.len() > LONGEST_EXPRESSION {
            errors.too_long(&path.child("expression"), LONGEST_EXPRESSION);
        } else {
            let path = path.child("expression");
            admission_expressions::check(expression, Gives::Bool, &of_devices(), &path, errors);
        }
    }
}

/// Validates what a driver is told, which only the driver understands.
fn validate_configuration(item: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("opaque");
    if !item.has("opaque") {
        errors.required(&path, "");
        return;
    }
    let driver = item["opaque"].text("driver");
    if driver.is_empty() {
        errors.required(&path.child("driver"), "");
    } else {
        validate_driver(driver, &path.child("driver"), errors);
    }
    let parameters_path = path.child("parameters");
    match &item["opaque"]["parameters"] {
        Value::Null => errors.required(&parameters_path, ""),
        Value::Object(_) => {}
        other => errors.invalid(&parameters_path, other.clone(), "must be a valid JSON object"),
    }
}

/// Validates the name of a driver, or of the domain that defines an attribute.
fn validate_driver(name: &str, path: &Path, errors: &mut Errors) {
    if name.len() > LONGEST_DRIVER {
        errors.too_long(path, LONGEST_DRIVER);
    }
    errors.invalid_each(path, &Value::from(name), names::errors(NameRule::Subdomain, name));
}

/// Validates the name of a pool, one or more names with slashes between them.
fn validate_pool(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
        return;
    }
    if name.len() > LONGEST_POOL {
        errors.too_long(path, LONGEST_POOL);
    }
    for part in name.split('/') {
        errors.invalid_each(path, &Value::from(part), names::errors(NameRule::Subdomain, part));
    }
}

impl Strategy for ResourceClaim {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        default_requests(write::ensure(write::ensure(object, "spec"), "devices"));
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        strategy::keep_metadata(new, old, &crate::KEPT_BY_STATUS);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        claim::validate(&object["spec"], &SPEC, errors);
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
        let reserved_path = path.child("reservedFor");
        for (index, consumer) in consumers.iter().enumerate() {
            let path = reserved_path.index(index);
            for key in ["resource", "name", "uid"] {
                if consumer.text(key).is_empty() {
                    errors.required(&path.child(key), "");
                }
            }
            if consumers[..index].iter().any(|other| other.text("uid") == consumer.text("uid")) {
                errors.duplicate(&path.child("uid"), consumer.text("uid"));
            }
        }
        let results_path = path.child("allocation").child("devices").child("results").to_string();
        let known = names_of(new["spec"]["devices"].items("requests"));
        let results = status["allocation"]["devices"].items("results");
        // What was allocated before is not judged again.
        for (index, result) in results.iter().enumerate().filter(|_| !before.has("allocation")) {
            let root = Path::root(&results_path);
            let path = root.index(index);
            if !known.iter().any(|name| name == result.text("request")) {
                errors.invalid(
                    &path.child("request"),
                    result.text("request"),
                    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                );
            }
            validate_driver(result.text("driver"), &path.child("driver"), errors);
            validate_pool(result.text("pool"), &path.child("pool"), errors);
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
        claim::validate(&object["spec"]["spec"], &SPEC.child("spec"), errors);
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
        slice::validate(&object["spec"], &SPEC, errors);
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

    #[test]
    fn classes_choose_devices_by_expressions() {
        let by = |expression: &str| {
            created(&DeviceClass, json!({"spec": {"selectors": [{"cel": {"expression": expression}}]}}))
        };
        assert_eq!(by("device.driver == 'a.example' && device.attributes['a.example'].model == 'x'"), "");
        assert_eq!(by("device.capacity['a.example'].memory.compareTo(quantity('1Gi')) >= 0"), "");
        assert_eq!(
            by("device.driver"),
            "spec.selectors[0].cel.expression: Invalid value: \"device.driver\": must evaluate to bool"
        );
        assert!(by("device.nothing == 1").contains("undefined field 'nothing'"));
        assert_eq!(by(""), "spec.selectors[0].cel.expression: Required value");
    }
}
