//! The kinds of dynamic resource allocation: DeviceClasses, ResourceClaims, their templates, ResourceSlices.

mod admin;
mod claim;
mod dates;
mod lists;
mod pool_request;
mod rights;
mod selector;
mod sharing;
mod slice;
mod status;
mod taint_rule;

use std::borrow::Cow;

use serde_json::Value;

use pod_strategy::resources::is_extended;
use strategy::field::{Errors, Path};
use strategy::metadata::{validate_annotations, validate_labels};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy, field_text, keep_metadata};

pub use admin::{asked_admin_access, judge_admin_access};
pub(crate) use dates::date;
pub use pool_request::ResourcePoolStatusRequest;
pub use rights::{StatusRights, is_account_on, no_binding, no_driver, status_rights};
pub use taint_rule::DeviceTaintRule;

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
/// Bytes of what a driver is told, written as JSON.
const LONGEST_PARAMETERS: usize = 10 * 1024;
const LONGEST_DRIVER: usize = 63;
const LONGEST_POOL: usize = 253;

impl Strategy for DeviceClass {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_class(&object["spec"], Judged::New, Judged::New, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (spec, before) = (&new["spec"], &old["spec"]);
        let judged = |key: &str| if same(&spec[key], &before[key]) { Judged::Before } else { Judged::New };
        validate_class(spec, judged("selectors"), judged("config"), errors);
    }
}

/// Whether something is new or was accepted before. What was accepted stays so where the rules got tighter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    New,
    Before,
}

fn validate_class(spec: &Value, selectors: Judged, config: Judged, errors: &mut Errors) {
    selector::validate(spec.items("selectors"), selectors, &SPEC.child("selectors"), errors);
    lists::each(spec.items("config"), MAX_ITEMS, &SPEC.child("config"), errors, |item, path, errors| {
        validate_configuration(item, config, path, errors);
    });
    let resource = spec.text("extendedResourceName");
    if spec.has("extendedResourceName") && !is_extended(resource) {
        let why = "must be a valid extended resource name";
        errors.invalid(&SPEC.child("extendedResourceName"), resource, why);
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
    default_tolerations(request);
}

fn default_tolerations(request: &mut Value) {
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

/// Validates what a driver is told, which only the driver understands.
fn validate_configuration(item: &Value, judged: Judged, path: &Path, errors: &mut Errors) {
    let path = path.child("opaque");
    if !item.has("opaque") {
        errors.required(&path, "");
        return;
    }
    validate_driver(item["opaque"].text("driver"), &path.child("driver"), errors);
    validate_parameters(&item["opaque"]["parameters"], judged, &path.child("parameters"), errors);
}

/// Validates an object that only a driver understands.
fn validate_parameters(parameters: &Value, judged: Judged, path: &Path, errors: &mut Errors) {
    if parameters.is_null() {
        errors.required(path, "");
    } else if judged == Judged::New && parameters.to_string().len() > LONGEST_PARAMETERS {
        errors.too_long(path, LONGEST_PARAMETERS);
    } else if !parameters.is_object() {
        errors.invalid(path, "<value omitted>", "must be a valid JSON object");
    }
}

/// Validates the name of a driver, or of the domain that defines an attribute. Its case does not count.
fn validate_driver(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
        return;
    }
    if name.len() > LONGEST_DRIVER {
        errors.too_long(path, LONGEST_DRIVER);
    }
    let found = names::errors(NameRule::Subdomain, &name.to_ascii_lowercase());
    errors.invalid_each(path, &Value::from(name), found);
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
        if let Some(status) = write::object(object, "status")
            && let Some(allocation) = write::object(status, "allocation")
            && let Some(devices) = write::object(allocation, "devices")
        {
            for result in write::items(devices, "results") {
                default_tolerations(result);
            }
        }
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        keep_metadata(new, old, &["labels", "annotations", "finalizers", "ownerReferences"]);
        status::forget_released(new, old);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        claim::validate(&object["spec"], &SPEC, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        status::validate(new, old, errors);
    }
}

impl Strategy for ResourceClaimTemplate {
    fn default(&self, object: &mut Value) {
        let spec = write::ensure(write::ensure(object, "spec"), "spec");
        default_requests(write::ensure(spec, "devices"));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let (metadata, path) = (&object["spec"]["metadata"], SPEC.child("metadata"));
        validate_annotations(&metadata["annotations"], &path.child("annotations"), errors);
        validate_labels(&metadata["labels"], &path.child("labels"), errors);
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

    fn prepare_for_create(&self, object: &mut Value) {
        slice::forget_mappings(object, &Value::Null);
        self.keeps().prepare_for_create(object);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        slice::validate(&object["spec"], &Value::Null, &SPEC, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        slice::forget_mappings(new, old);
        self.keeps().prepare_for_update(new, old);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        slice::validate(&new["spec"], &old["spec"], &SPEC, errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        slice::warnings(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        slice::warnings(new)
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
    fn what_a_class_said_before_is_not_judged_again() {
        let long = "y".repeat(LONGEST_PARAMETERS);
        let config = json!([{"opaque": {"driver": "a.example", "parameters": {"x": long}}}]);
        let old = json!({"spec": {"selectors": [{"cel": {"expression": "device.gone"}}], "config": config}});
        assert_eq!(updated(&DeviceClass, old.clone(), old.clone()), "");
        let mut new = old.clone();
        new["spec"]["selectors"][0]["cel"]["expression"] = json!("device.driver");
        assert_eq!(
            updated(&DeviceClass, new.clone(), old.clone()),
            "spec.selectors[0].cel.expression: Invalid value: \"device.driver\": must evaluate to bool or the unknown type, not string"
        );
        new["spec"]["selectors"] = json!([{}]);
        new["spec"]["config"][0]["opaque"]["driver"] = json!("b.example");
        assert_eq!(
            updated(&DeviceClass, new, old),
            "spec.selectors[0].cel: Required value\n\
             spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"
        );
    }

    #[test]
    fn templates_have_labels_for_their_claims() {
        let requests = json!([{"name": "gpu", "exactly": {"deviceClassName": "a.example"}}]);
        let template = |metadata: Value| json!({"spec": {"metadata": metadata, "spec": {"devices": {"requests": requests}}}});
        assert_eq!(created(&ResourceClaimTemplate, template(json!({"labels": {"a": "b"}}))), "");
        let told = created(
            &ResourceClaimTemplate,
            template(json!({"labels": {"a": "-"}, "annotations": {"-": ""}})),
        );
        let starts: Vec<&str> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(starts, ["spec.metadata.annotations", "spec.metadata.labels"]);
    }

    #[test]
    fn tolerations_say_by_what_they_compare() {
        let toleration = json!({"key": "a"});
        let mut claim = json!({
            "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"tolerations": [toleration]}}]}},
            "status": {"allocation": {"devices": {"results": [{"tolerations": [toleration]}]}}},
        });
        ResourceClaim.default(&mut claim);
        let operator = |path: &str| claim.pointer(&format!("{path}/tolerations/0/operator")).cloned();
        assert_eq!(operator("/spec/devices/requests/0/exactly"), Some(json!("Equal")));
        assert_eq!(operator("/status/allocation/devices/results/0"), Some(json!("Equal")));
    }

    #[test]
    fn slices_are_prepared_as_far_as_upstream_has_them_on() {
        let slice =
            |devices: Value| json!({"metadata": {}, "spec": {"driver": "A.example", "devices": devices}});
        let mapped = json!([{"name": "d", "nodeAllocatableResourceMappings": {"cpu": {}}}]);
        let mut new = slice(mapped.clone());
        ResourceSlice.prepare_for_create(&mut new);
        assert_eq!(new["spec"]["devices"], json!([{"name": "d"}]));
        let mut kept = slice(mapped.clone());
        ResourceSlice.prepare_for_update(&mut kept, &slice(mapped.clone()));
        assert_eq!(kept["spec"]["devices"], mapped);
        assert_eq!(
            ResourceSlice.create_warnings(&new),
            ["spec.driver: driver names should be lowercase; \"A.example\" contains uppercase characters"]
        );
    }
}
