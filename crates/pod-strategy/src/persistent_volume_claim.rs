//! PersistentVolumeClaims.

use apimachinery::Quantity;
use serde_json::{Value, json};

use crate::defaults::round_up;
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
        let status = write::ensure(object, "status");
        write::zero(status, "phase", "Pending");
        round_up(status, "capacity");
        round_up(status, "allocatedResources");
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", json!({"phase": "Pending"}));
        settle_sources(write::ensure(object, "spec"), &Value::Null);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], &SPEC, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        settle_sources(write::ensure(new, "spec"), &old["spec"]);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec_as(&new["spec"], has_group(&old["spec"]), &SPEC, errors);
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
    if let Some(resources) = write::object(spec, "resources") {
        round_up(resources, "limits");
        round_up(resources, "requests");
    }
}

/// Makes `dataSource` and `dataSourceRef` say the same where only one was given, after what may not be in them is
/// taken away: sources of another namespace, and in the older field all but claims and snapshots, which it never took.
fn settle_sources(spec: &mut Value, before: &Value) {
    if is_elsewhere(spec) && !before.has("dataSourceRef") {
        write::remove(spec, "dataSourceRef");
    }
    let had_any = before.has("dataSource") || before.has("dataSourceRef");
    if !had_any && !spec.has("dataSourceRef") {
        let source = &spec["dataSource"];
        if !matches!(
            (source.text("apiGroup"), source.text("kind")),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        ) {
            write::remove(spec, "dataSource");
        }
    }
    twin_sources(spec);
}

fn is_elsewhere(spec: &Value) -> bool {
    !spec["dataSourceRef"].text("namespace").is_empty()
}

fn twin_sources(spec: &mut Value) {
    if spec.has("dataSource") && !spec.has("dataSourceRef") {
        let source = spec["dataSource"].clone();
        write::set(spec, "dataSourceRef", source);
    } else if spec.has("dataSourceRef") && !spec.has("dataSource") && !is_elsewhere(spec) {
        let mut source = spec["dataSourceRef"].clone();
        write::remove(&mut source, "namespace");
        write::set(spec, "dataSource", source);
    }
}

/// Whether a claim has a source of a group, whose name was not always judged.
fn has_group(spec: &Value) -> bool {
    ["dataSource", "dataSourceRef"].iter().any(|key| spec[*key].has("apiGroup"))
}

/// Validates the spec of a claim, also of one in a template.
pub fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    validate_spec_as(spec, false, path, errors);
}

fn validate_spec_as(spec: &Value, any_group: bool, path: &Path, errors: &mut Errors) {
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
        if !group.is_empty() && !any_group {
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
fn validate_positive(value: &Value, path: &Path, errors: &mut Errors) {
    if quantity(value).is_none() {
        validate_amount("storage", value, path, errors);
    } else {
        validate_more_than_nothing(value, path, errors);
    }
}

/// Adds the error of an amount that is nothing or less.
pub fn validate_more_than_nothing(value: &Value, path: &Path, errors: &mut Errors) {
    if let Some(amount) = quantity(value).filter(|amount| amount.sign() <= 0) {
        errors.invalid(path, amount.to_string(), "must be greater than zero");
    }
}

/// Adds the error of a negative amount, shown as a number.
pub fn validate_basic(value: &Value, path: &Path, errors: &mut Errors) {
    if let Some(amount) = quantity(value).map(|amount| amount.value()).filter(|amount| *amount < 0) {
        errors.invalid(path, amount, "must be a valid resource quantity");
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
    // What was stored before sources had twins has got them since.
    let mut before = old["spec"].clone();
    twin_sources(&mut before);
    let before = &before;
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
    for (name, value) in status.entries("capacity") {
        validate_basic(value, &STATUS.child("capacity").key(name), errors);
    }
    const RESIZE: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    // Upstream names the list in the singular, and no key of it.
    let path = STATUS.child("allocatedResourceStatus");
    for (name, state) in status.entries("allocatedResourceStatuses") {
        validate_resource(name, &path, errors);
        if !RESIZE.iter().any(|known| state == known) {
            errors.unsupported(&path, name.as_str(), &RESIZE);
        }
    }
    let path = STATUS.child("allocatedResources");
    for (name, value) in status.entries("allocatedResources") {
        if validate_resource(name, &path, errors) {
            validate_basic(value, &path.key(name), errors);
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
    spec_warnings(&claim["spec"], "spec", &mut found);
    found
}

/// Warns of what a claim, or the template of one, asks for.
pub fn spec_warnings(spec: &Value, path: &str, found: &mut Vec<String>) {
    for list in ["requests", "limits"] {
        let amount = &spec["resources"][list]["storage"];
        warnings::fraction_of_bytes(amount, &format!("{path}.resources.{list}[storage]"), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{agree, created, defaulted, found, updated};

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
        // Another namespace is a feature that is off.
        assert_eq!(from(other, json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "x"})), "");
        assert_eq!(
            created(&PersistentVolumeClaim, claim("0")),
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero"
        );
    }

    #[test]
    fn sources_are_settled_before_they_are_judged() {
        let claim_ref = json!({"kind": "PersistentVolumeClaim", "name": "a"});
        let snapshot = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "a"});
        let own = json!({"apiGroup": "example.com", "kind": "Thing", "name": "a"});
        let elsewhere = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "x"});
        let spec = |source: &Value, reference: &Value| {
            let mut spec = json!({});
            for (key, value) in [("dataSource", source), ("dataSourceRef", reference)] {
                if !value.is_null() {
                    spec[key] = value.clone();
                }
            }
            spec
        };
        let none = &Value::Null;
        for (source, reference, before, expected) in [
            (&claim_ref, none, spec(none, none), spec(&claim_ref, &claim_ref)),
            (none, &claim_ref, spec(none, none), spec(&claim_ref, &claim_ref)),
            (&snapshot, none, spec(none, none), spec(&snapshot, &snapshot)),
            (&own, none, spec(none, none), spec(none, none)),
            (none, &own, spec(none, none), spec(&own, &own)),
            (&own, none, spec(&own, &own), spec(&own, &own)),
            (none, &elsewhere, spec(none, none), spec(none, none)),
            (none, &elsewhere, spec(none, &elsewhere), spec(none, &elsewhere)),
        ] {
            let mut settled = spec(source, reference);
            settle_sources(&mut settled, &before);
            assert_eq!(settled, expected, "{source} {reference}");
        }
    }

    #[test]
    fn groups_that_are_stored_may_stay() {
        let mut old = claim("1Gi");
        old["spec"]["dataSourceRef"] = json!({"apiGroup": "A", "kind": "Thing", "name": "a"});
        assert_eq!(updated(&PersistentVolumeClaim, old.clone(), old.clone()), "");
        assert!(
            created(&PersistentVolumeClaim, old)
                .contains("spec.dataSourceRef.apiGroup: Invalid value: \"A\"")
        );
    }

    #[test]
    fn a_status_names_what_was_allocated() {
        let cases = [
            (
                json!({"capacity": {"storage": "1Gi"}, "allocatedResources": {"storage": "1Gi", "example.com/a": "1"}}),
                "",
            ),
            (
                json!({"capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1", "storage": "-2"}}),
                "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity\n\
                 status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\"\n\
                 status.allocatedResources[storage]: Invalid value: -2: must be a valid resource quantity",
            ),
            (
                json!({"allocatedResourceStatuses": {"cpu": "Some"}}),
                "status.allocatedResourceStatus: Unsupported value: \"cpu\": supported values: \"storage\"\n\
                 status.allocatedResourceStatus: Unsupported value: \"cpu\": supported values: \"ControllerResizeInProgress\", \"ControllerResizeInfeasible\", \"NodeResizeInProgress\", \"NodeResizeInfeasible\", \"NodeResizePending\"",
            ),
        ];
        agree(cases.map(|(status, expected)| {
            let claim = json!({ "status": status });
            let told =
                found(|errors| PersistentVolumeClaim.validate_status_update(&claim, &json!({}), errors));
            (claim.to_string(), told, expected)
        }));
        let mut fine = claim("100u");
        fine["status"] = json!({"capacity": {"storage": "1n"}});
        let whole = defaulted(&PersistentVolumeClaim, fine);
        assert_eq!(whole["spec"]["resources"]["requests"]["storage"], "1m");
        assert_eq!(whole["status"]["capacity"]["storage"], "1m");
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
