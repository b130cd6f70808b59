//! PersistentVolumeClaims.

use apimachinery::Quantity;
use serde_json::{Value, json};

use crate::resources::{quantity, validate_amount};
use crate::warnings;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of PersistentVolumeClaims.
pub struct PersistentVolumeClaim;

const SPEC: Path<'static> = Path::root("spec");
const STATUS: Path<'static> = Path::root("status");
/// Named the class before the field did.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const ATTRIBUTES: &str = "volumeAttributesClassName";
const CURRENT_ATTRIBUTES: &str = "currentVolumeAttributesClassName";
/// How a volume may be mounted.
pub(crate) const ACCESS_MODES: [&str; 4] =
    ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

impl Strategy for PersistentVolumeClaim {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        default_spec(write::ensure(object, "spec"));
        write::zero(write::ensure(object, "status"), "phase", "Pending");
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", json!({"phase": "Pending"}));
        twin_sources(write::ensure(object, "spec"));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], &SPEC, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        twin_sources(write::ensure(new, "spec"));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], &SPEC, errors);
        validate_change(new, old, errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_status(&new["status"], errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        claim_warnings(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        claim_warnings(new)
    }
}

/// Fills in the spec of a claim, also of one in a template.
pub fn default_spec(spec: &mut Value) {
    write::missing(spec, "volumeMode", "Filesystem");
}

/// `dataSource` and `dataSourceRef` say the same where only one was given.
fn twin_sources(spec: &mut Value) {
    if spec.has("dataSource") && !spec.has("dataSourceRef") {
        let source = spec["dataSource"].clone();
        write::set(spec, "dataSourceRef", source);
    } else if spec.has("dataSourceRef") && !spec.has("dataSource") {
        let reference = &spec["dataSourceRef"];
        let plain = matches!(
            (reference.text("apiGroup"), reference.text("kind")),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        );
        if plain && !reference.has("namespace") {
            let source = reference.clone();
            write::set(spec, "dataSource", source);
        }
    }
}

/// Validates the spec of a claim, also of one in a template.
pub fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    if spec.items("accessModes").is_empty() {
        errors.required(&path.child("accessModes"), "at least 1 access mode is required");
    }
    selectors::validate(&spec["selector"], &path.child("selector"), errors);
    validate_modes(spec.items("accessModes"), &path.child("accessModes"), errors);
    let resources_path = path.child("resources");
    match spec["resources"]["requests"].get("storage") {
        None => errors.required(&resources_path.key("storage"), ""),
        Some(value) => validate_positive(value, &resources_path.key("storage"), errors),
    }
    validate_class(spec, "storageClassName", path, errors);
    if spec.has("volumeMode") && !matches!(spec.text("volumeMode"), "Block" | "Filesystem") {
        errors.unsupported(&path.child("volumeMode"), spec.text("volumeMode"), &["Block", "Filesystem"]);
    }
    for key in ["dataSource", "dataSourceRef"] {
        let source = &spec[key];
        if source.is_null() {
            continue;
        }
        let path = path.child(key);
        for key in ["name", "kind"] {
            if source.text(key).is_empty() {
                errors.required(&path.child(key), "");
            }
        }
        if source.text("apiGroup").is_empty() && source.text("kind") != "PersistentVolumeClaim" {
            errors.invalid(
                &path,
                source.text("kind"),
                "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            );
        }
        let group = source.text("apiGroup");
        if !group.is_empty() {
            let found = names::errors(NameRule::Subdomain, group);
            errors.invalid_each(&path.child("apiGroup"), &source["apiGroup"], found);
        }
        let namespace = source.text("namespace");
        if !namespace.is_empty() {
            let found = names::errors(NameRule::Label, namespace);
            errors.invalid_each(&path.child("namespace"), &source["namespace"], found);
        }
    }
    let (source, reference) = (&spec["dataSource"], &spec["dataSourceRef"]);
    if source.is_object() && reference.is_object() {
        let differs = ["apiGroup", "kind", "name"].iter().any(|key| source[*key] != reference[*key]);
        let why = match reference.text("namespace") {
            "" if differs => "must match dataSourceRef",
            "" => "",
            _ => "may not be specified when dataSourceRef.namespace is specified",
        };
        if !why.is_empty() {
            errors.invalid(path, path.child("dataSource").to_string(), why);
        }
    }
    validate_class(spec, ATTRIBUTES, path, errors);
}

fn validate_class(spec: &Value, key: &str, path: &Path, errors: &mut Errors) {
    let name = spec.text(key);
    if !name.is_empty() {
        errors.invalid_each(&path.child(key), &spec[key], names::errors(NameRule::Subdomain, name));
    }
}

/// Validates an amount of storage that must be more than nothing.
pub fn validate_positive(value: &Value, path: &Path, errors: &mut Errors) {
    match quantity(value) {
        Some(amount) if amount.sign() <= 0 => {
            errors.invalid(path, amount.to_string(), "must be greater than zero");
        }
        _ => validate_amount("storage", value, path, errors),
    }
}

/// Validates the access modes of a claim or volume; `why` is what is said where there is none.
pub fn validate_access_modes(spec: &Value, path: &Path, why: &str, errors: &mut Errors) {
    let modes = spec.items("accessModes");
    let path = path.child("accessModes");
    if modes.is_empty() {
        errors.required(&path, why);
    }
    validate_modes(modes, &path, errors);
}

fn validate_modes(modes: &[Value], path: &Path, errors: &mut Errors) {
    let (mut alone, mut others) = (false, false);
    for mode in modes {
        if !ACCESS_MODES.iter().any(|known| mode == known) {
            errors.unsupported(path, mode.clone(), &ACCESS_MODES);
        } else if mode == "ReadWriteOncePod" {
            alone = true;
        } else {
            others = true;
        }
    }
    if alone && others {
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn validate_change(new: &Value, old: &Value, errors: &mut Errors) {
    let mut allowed = new["spec"].clone();
    let before = &old["spec"];
    // The binder names the volume once.
    if before.text("volumeName").is_empty() {
        write::copy(&mut allowed, "volumeName", before);
    }
    let (named, was_named) =
        (new["metadata"]["annotations"].text(CLASS), old["metadata"]["annotations"].text(CLASS));
    let class = &new["spec"]["storageClassName"];
    let unnamed = !before.has("storageClassName") && !class.is_null();
    // The class moves from the annotation to the field, or is given to a claim that has none, as defaulting does later
    // on.
    if unnamed && !was_named.is_empty() && class == was_named && (named.is_empty() || named == was_named) {
        write::remove(&mut allowed, "storageClassName");
    } else {
        if named != was_named {
            let annotations = Path::root("metadata.annotations");
            errors.invalid(&annotations.child(CLASS), named, strategy::field::IMMUTABLE);
        }
        if unnamed && (was_named.is_empty() || class == was_named) {
            write::copy(&mut allowed, "storageClassName", before);
        }
    }
    if new["status"].text("phase") == "Bound" {
        if let Some(requests) = write::object(&mut allowed, "resources")
            .and_then(|resources| write::object(resources, "requests"))
        {
            write::copy(requests, "storage", &before["resources"]["requests"]);
        }
        write::copy(&mut allowed, ATTRIBUTES, before);
    }
    if !same(&allowed, before) {
        errors.forbidden(
            &SPEC,
            format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
                crate::update::difference(&allowed, before)
            ),
        );
    }
    let storage = |claim: &Value| quantity(&claim["spec"]["resources"]["requests"]["storage"]);
    let reached = quantity(&old["status"]["capacity"]["storage"]).unwrap_or(Quantity::ZERO);
    // A failed expansion may be taken back, but not to what the volume has: storage never shrinks.
    if let (Some(after), Some(earlier)) = (storage(new), storage(old))
        && after < earlier
        && after <= reached
    {
        errors.forbidden(
            &SPEC.child("resources").child("requests").child("storage"),
            "field can not be less than status.capacity",
        );
    }
    errors.immutable(&Path::root("volumeMode"), &new["spec"]["volumeMode"], &before["volumeMode"]);
    // A volume that was given a class keeps one.
    if before.has(ATTRIBUTES) && old["status"].has(CURRENT_ATTRIBUTES) {
        let path = SPEC.child(ATTRIBUTES);
        let update = match new["spec"].has(ATTRIBUTES) {
            false => "nil",
            true if new["spec"].text(ATTRIBUTES).is_empty() && !before.text(ATTRIBUTES).is_empty() => {
                "empty string"
            }
            true => return,
        };
        errors.forbidden(
            &path,
            format!("update to {update} is forbidden when status.{CURRENT_ATTRIBUTES} is not nil"),
        );
    }
}

/// What controllers say about a claim.
fn validate_status(status: &Value, errors: &mut Errors) {
    for list in ["capacity", "allocatedResources"] {
        for (name, value) in status.entries(list) {
            let list_path = STATUS.child(list);
            let path = list_path.key(name);
            if list == "allocatedResources" && !validate_resource(name, &path, errors) {
                continue;
            }
            validate_amount(name, value, &path, errors);
        }
    }
    const RESIZE: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    let list_path = STATUS.child("allocatedResourceStatus");
    for (name, state) in status.entries("allocatedResourceStatuses") {
        let path = list_path.key(name);
        if validate_resource(name, &path, errors) && !RESIZE.iter().any(|known| state == known) {
            errors.unsupported(&path, name.as_str(), &RESIZE);
        }
    }
}

/// Of the resources that are not somebody's own, claims know storage alone.
fn validate_resource(name: &str, path: &Path, errors: &mut Errors) -> bool {
    let found = names::qualified_name_errors(name);
    let valid = found.is_empty();
    errors.invalid_each(path, &Value::from(name), found);
    if valid && crate::resources::is_native(name) && name != "storage" {
        errors.unsupported(path, name, &["storage"]);
        return false;
    }
    valid
}

fn claim_warnings(claim: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if claim["metadata"]["annotations"].get(CLASS).is_some() {
        found.push(format!(
            "metadata.annotations[{CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ));
    }
    for list in ["requests", "limits"] {
        let amount = &claim["spec"]["resources"][list]["storage"];
        warnings::fraction_of_bytes(amount, &format!("spec.resources.{list}[storage]"), &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, updated};

    fn claim(size: &str) -> Value {
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}})
    }

    #[test]
    fn claims_say_how_much_and_how() {
        assert_eq!(created(&PersistentVolumeClaim, claim("1Gi")), "");
        assert_eq!(
            created(&PersistentVolumeClaim, json!({"spec": {"accessModes": ["Any"]}})),
            "spec.accessModes: Unsupported value: \"Any\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"\nspec.resources[storage]: Required value"
        );
    }

    #[test]
    fn sources_are_one_and_the_same() {
        let from = |source: Value, reference: Value| {
            let mut claim = claim("1Gi");
            claim["spec"]["dataSource"] = source;
            claim["spec"]["dataSourceRef"] = reference;
            created(&PersistentVolumeClaim, claim)
        };
        let other = json!({"kind": "PersistentVolumeClaim", "name": "a"});
        assert_eq!(from(other.clone(), Value::Null), "");
        assert_eq!(
            from(other.clone(), json!({"kind": "PersistentVolumeClaim", "name": "b"})),
            "spec: Invalid value: \"spec.dataSource\": must match dataSourceRef"
        );
        assert_eq!(
            from(other, json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "x"})),
            "spec: Invalid value: \"spec.dataSource\": may not be specified when dataSourceRef.namespace is specified"
        );
        assert_eq!(
            created(&PersistentVolumeClaim, claim("0")),
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero"
        );
    }

    #[test]
    fn the_class_is_given_once() {
        let mut old = claim("1Gi");
        old["metadata"]["annotations"] = json!({CLASS: "fast"});
        let mut new = old.clone();
        new["spec"]["storageClassName"] = json!("fast");
        assert_eq!(updated(&PersistentVolumeClaim, new.clone(), old.clone()), "");
        new["metadata"]["annotations"] = json!({CLASS: "slow"});
        assert!(updated(&PersistentVolumeClaim, new, old).starts_with(
            "metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: \"slow\": field is immutable"
        ));
        let mut old = claim("1Gi");
        old["spec"]["volumeAttributesClassName"] = json!("gold");
        old["status"] = json!({"phase": "Bound"});
        let mut new = old.clone();
        new["spec"]["volumeAttributesClassName"] = json!("silver");
        assert_eq!(updated(&PersistentVolumeClaim, new.clone(), old.clone()), "");
        let mut given = old.clone();
        given["status"]["currentVolumeAttributesClassName"] = json!("gold");
        for (class, expected) in [
            (
                json!(""),
                "spec.volumeAttributesClassName: Forbidden: update to empty string is forbidden when status.currentVolumeAttributesClassName is not nil",
            ),
            (
                Value::Null,
                "spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when status.currentVolumeAttributesClassName is not nil",
            ),
        ] {
            new["spec"]["volumeAttributesClassName"] = class;
            assert_eq!(updated(&PersistentVolumeClaim, new.clone(), old.clone()), "");
            assert_eq!(updated(&PersistentVolumeClaim, new.clone(), given.clone()), expected);
        }
    }

    #[test]
    fn modes_follow_the_selector() {
        let claim = |modes: Value| {
            let mut claim = claim("1Gi");
            claim["spec"]["accessModes"] = modes;
            claim["spec"]["selector"] = json!({"matchExpressions": [{"key": "a", "operator": "Some"}]});
            created(&PersistentVolumeClaim, claim)
        };
        let selector = "spec.selector.matchExpressions[0].operator: Invalid value: \"Some\": not a valid selector operator";
        let known =
            "supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"";
        assert_eq!(
            claim(json!([])),
            format!("spec.accessModes: Required value: at least 1 access mode is required\n{selector}")
        );
        assert_eq!(
            claim(json!(["ReadWriteOncePod", "Any"])),
            format!("{selector}\nspec.accessModes: Unsupported value: \"Any\": {known}")
        );
        assert_eq!(
            claim(json!(["ReadWriteOncePod", "ReadOnlyMany"])),
            format!(
                "{selector}\nspec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"
            )
        );
    }

    #[test]
    fn a_bound_claim_only_grows() {
        let mut old = claim("1Gi");
        old["spec"]["volumeName"] = json!("v");
        old["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        let mut new = old.clone();
        new["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
        assert_eq!(updated(&PersistentVolumeClaim, new.clone(), old.clone()), "");
        new["spec"]["resources"]["requests"]["storage"] = json!("1Mi");
        assert_eq!(
            updated(&PersistentVolumeClaim, new, old.clone()),
            "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
        );
        old["spec"]["resources"]["requests"]["storage"] = json!("3Gi");
        let mut new = old.clone();
        new["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
        assert_eq!(updated(&PersistentVolumeClaim, new, old.clone()), "");
        let mut new = old.clone();
        new["spec"]["volumeName"] = json!("w");
        assert!(
            updated(&PersistentVolumeClaim, new, old)
                .starts_with("spec: Forbidden: spec is immutable after creation")
        );
    }
}
